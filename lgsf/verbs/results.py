"""Verbs from runs to pages: tables, verdicts, albums, reports, and the way back to the data."""

from __future__ import annotations

from lgsf.system.project.places import own_or_shipped
from lgsf.system.project.verbs import Arguments, option, path, verb
from lgsf.verbs.options import MAYBE_PATH, MAYBE_TEXT, PATH, PUBLISHED, TEXT, parsed


@verb("collect runs into tables",
      '--experiment "$EXPERIMENT" --results results --out results/tables/mine',
      experiment=TEXT, results=PATH, out=PATH)  # fmt: skip
def tables(a: Arguments) -> None:
    from lgsf.config.experiment import Experiment
    from lgsf.tables.write import write_tables

    write_tables(Experiment.parse(a.experiment), results=a.results, out=a.out)


@verb("list what trainings reached on dev",
      '--experiment "$EXPERIMENT" --results results --out results/tables/mine/dev',
      experiment=TEXT, results=PATH, out=PATH)  # fmt: skip
def dev(a: Arguments) -> None:
    from lgsf.config.experiment import Experiment
    from lgsf.tuning.dev import write_dev

    write_dev(Experiment.parse(a.experiment), results=a.results, out=a.out)


@verb("collect answers, attention and pictures for the report",
      '--experiment "$EXPERIMENT" --results results --resources resources'
      " --out results/tables/mine/album",
      experiment=TEXT, results=PATH, resources=PATH,
      photo_folders=option(default="{}"), out=PATH)  # fmt: skip
def album(a: Arguments) -> None:
    from lgsf.config.experiment import Experiment
    from lgsf.gallery.collect import write_albums

    photos = parsed(a.photo_folders, "--photo-folders")
    write_albums(Experiment.parse(a.experiment), results=a.results, resources=a.resources, photos=photos, out=a.out)


@verb("hold runs against published numbers and the claim",
      "--results results --dataset-name coco --reference vsepp_warm",
      experiment=MAYBE_TEXT, tables=MAYBE_PATH,
      results=MAYBE_PATH, dataset_name=MAYBE_TEXT, method_name=MAYBE_TEXT, published=MAYBE_TEXT, reference=MAYBE_TEXT,
      configuration=option(type=path, default=own_or_shipped("config/config.yaml")), table=PUBLISHED, out=MAYBE_PATH)  # fmt: skip
def compare(a: Arguments) -> None:
    from lgsf.config.experiment import Experiment
    from lgsf.verdict.compare import compare

    experiment = None if a.experiment is None else Experiment.parse(a.experiment)
    print(
        compare(
            experiment=experiment, results=a.results, tables=a.tables, dataset=a.dataset_name, method=a.method_name,
            published=a.published, reference=a.reference, config=a.configuration, table=a.table, out=a.out,
        )
    )  # fmt: skip


@verb("check the table of published numbers",
      "--table config/published.csv",
      table=PUBLISHED)  # fmt: skip
def published(a: Arguments) -> None:
    from lgsf.verdict.files import read_table

    rows, spread = read_table(a.table)
    keys = len({row.key for row in rows if row.key})
    print(f"{a.table}: {len(rows)} published rows, {keys} keys and {len(spread)} spreads over seeds, all sound.")


@verb("render the report",
      '--experiment "$EXPERIMENT" --results results --tables results/tables/mine --out reports/mine',
      experiment=TEXT, results=PATH, tables=PATH, out=PATH)  # fmt: skip
def report(a: Arguments) -> None:
    from lgsf.config.experiment import Experiment
    from lgsf.report.page import write_report

    print(write_report(Experiment.parse(a.experiment), results=a.results, tables=a.tables, out=a.out))


@verb("render the diagnoses apart from the comparison",
      '--experiment "$EXPERIMENT" --results results --out reports/mine/transductive',
      experiment=TEXT, results=PATH, out=PATH)  # fmt: skip
def transductive_report(a: Arguments) -> None:
    from lgsf.config.experiment import Experiment
    from lgsf.report.transductive import write_transductive

    print(write_transductive(Experiment.parse(a.experiment), results=a.results, out=a.out))


@verb("follow numbers from the report back to the data",
      "--report reports/flickr8k --results results --dataset resources/flickr8k",
      report=MAYBE_PATH, results=MAYBE_PATH,
      dataset=option(type=path, nargs="+", default=[]))  # fmt: skip
def verify(a: Arguments) -> None:
    from lgsf.verification.verify import verify

    print(verify(report=a.report, results=a.results, datasets=a.dataset))
