"""Verbs from runs to pages: tables, verdicts, albums, reports, and the way back to the data."""

from __future__ import annotations

from lgsf.system.project.places import own_or_shipped
from lgsf.system.project.verbs import Arguments, option, path, verb
from lgsf.verbs.options import MAYBE_PATH, MAYBE_TEXT, PATH, PUBLISHED, TEXT, parsed


@verb("collect runs into tables", experiment=TEXT, results=PATH, out=PATH)
def tables(a: Arguments) -> None:
    from lgsf.config.experiment import Experiment
    from lgsf.tables.write import write_tables

    write_tables(Experiment.parse(a.experiment), results=a.results, out=a.out)


@verb("list what trainings reached on dev", experiment=TEXT, results=PATH, out=PATH)
def dev(a: Arguments) -> None:
    from lgsf.config.experiment import Experiment
    from lgsf.tables.dev import write_dev

    write_dev(Experiment.parse(a.experiment), results=a.results, out=a.out)


@verb("collect answers, attention and pictures for the report", experiment=TEXT, results=PATH, resources=PATH,
      photos=option(default="{}"), out=PATH)  # fmt: skip
def album(a: Arguments) -> None:
    from lgsf.config.experiment import Experiment
    from lgsf.gallery.collect import write_albums

    photos = parsed(a.photos, "--photos")
    write_albums(Experiment.parse(a.experiment), results=a.results, resources=a.resources, photos=photos, out=a.out)


@verb("hold runs against published numbers and the claim", experiment=MAYBE_TEXT, tables=MAYBE_PATH,
      results=MAYBE_PATH, dataset=MAYBE_TEXT, method=MAYBE_TEXT, published=MAYBE_TEXT, reference=MAYBE_TEXT,
      config=option(type=path, default=own_or_shipped("config/config.yaml")), table=PUBLISHED, out=MAYBE_PATH)  # fmt: skip
def compare(a: Arguments) -> None:
    from lgsf.config.experiment import Experiment
    from lgsf.verdict.compare import compare

    experiment = None if a.experiment is None else Experiment.parse(a.experiment)
    print(
        compare(
            experiment=experiment, results=a.results, tables=a.tables, dataset=a.dataset, method=a.method,
            published=a.published, reference=a.reference, config=a.config, table=a.table, out=a.out,
        )
    )  # fmt: skip


@verb("check the table of published numbers", table=PUBLISHED)
def published(a: Arguments) -> None:
    from lgsf.verdict.files import read_table

    rows, spread = read_table(a.table)
    keys = len({row.key for row in rows if row.key})
    print(f"{a.table}: {len(rows)} published rows, {keys} keys and {len(spread)} spreads over seeds, all sound.")


@verb("render the report", experiment=TEXT, results=PATH, tables=PATH, out=PATH)
def report(a: Arguments) -> None:
    from lgsf.config.experiment import Experiment
    from lgsf.report.page import write_report

    print(write_report(Experiment.parse(a.experiment), results=a.results, tables=a.tables, out=a.out))


@verb("render the diagnoses apart from the comparison", experiment=TEXT, results=PATH, out=PATH)
def transductive_report(a: Arguments) -> None:
    from lgsf.config.experiment import Experiment
    from lgsf.report.transductive import write_transductive

    print(write_transductive(Experiment.parse(a.experiment), results=a.results, out=a.out))


@verb("follow numbers from the report back to the data", report=MAYBE_PATH, results=MAYBE_PATH,
      dataset=option(type=path, nargs="+", default=[]))  # fmt: skip
def verify(a: Arguments) -> None:
    from lgsf.verification.verify import verify

    print(verify(report=a.report, results=a.results, datasets=a.dataset))
