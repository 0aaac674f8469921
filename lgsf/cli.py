"""The verbs of the command line: each reads its arguments, calls one stage, and explains failures in a sentence.

A new verb is one function here, under `@verb`, that imports its stage when it is called: help and mistakes in the
arguments must not wait for torch.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from lgsf.config.names import CONTROLS
from lgsf.system.errors import LgsfError
from lgsf.system.failures import ending
from lgsf.system.logs import setup
from lgsf.system.names import LARGEST_SEED
from lgsf.system.project.places import own_or_shipped
from lgsf.system.project.verbs import VERBS, Arguments, argument, option, path, verb, whole
from lgsf.system.project.version import __version__

logger = logging.getLogger("lgsf")
TEXT = option()
PATH = option(type=path)
PATHS = option(type=path, nargs="+", metavar="RUN")
SEED = option(type=whole(0, LARGEST_SEED))
MAYBE_TEXT = option(default=None)
MAYBE_PATH = option(type=path, default=None)
MEMORY = option(type=whole(16, 2**24), default=512, help="MiB of scores that are held during ranking")
PUBLISHED = option(type=path, default=own_or_shipped("config/published.csv"), help="the table of published numbers")


@verb("check one method's settings and write them", settings=TEXT, experiment=MAYBE_TEXT, out=PATH)
def configure(a: Arguments) -> None:
    from lgsf.config.checks.replaced import OWNER, owner_record
    from lgsf.models.sizing import configured
    from lgsf.system.files import write_json

    settings = configured(_json(a.settings, "--settings"), source="the configuration").plain()
    if a.experiment is not None:
        write_json(a.out.parent / OWNER, owner_record(a.out, settings, a.experiment))
    write_json(a.out, settings)


@verb("turn a source into a dataset", name=TEXT, settings=TEXT, out=PATH)
def prepare(a: Arguments) -> None:
    from lgsf.data.prepare import prepare

    prepare(_json(a.settings, "--settings"), name=a.name, root=a.out)


@verb("a dataset to a pack in the field's layout (SCAN), or a pack to a dataset", source=PATH, out=PATH,
      settings=option(default="{}", help="JSON: rows, prefixes, captions_per_image; of a pack also name, folds, ..."))  # fmt: skip
def convert(a: Arguments) -> None:
    from lgsf.data.precomp.convert import convert

    print(convert(a.source, a.out, _json(a.settings, "--settings")))


@verb("print and write what a dataset is and what looks wrong with it", dataset=argument(type=path, metavar="DATASET"),
      photos=option(type=path, default=None, help="folder of the photos, to look for copies among them"),
      out=option(type=path, default=None, help="folder of inspection.json and .md, by default DATASET"))  # fmt: skip
def inspect(a: Arguments) -> None:
    from lgsf.data.inspection.inspect import inspect
    from lgsf.data.pictures import find_pictures

    print(inspect(a.dataset, pictures=lambda data, split: find_pictures(data, split, a.photos), out=a.out))


@verb("fetch a public file that the configuration names, or check it", name=TEXT, settings=TEXT, out=PATH,
      offline=option(choices=("yes", "no"), default="no", help="say what to put where, and ask no server"))  # fmt: skip
def fetch(a: Arguments) -> None:
    from lgsf.fetch.fetch import fetch

    fetch(_json(a.settings, "--settings"), name=a.name, out=a.out, offline=a.offline == "yes")


@verb("extract one shard of features from photos, or leave one that is whole", on_device=True, name=TEXT,
      settings=TEXT, shard=option(type=int), out=PATH, device=option(choices=("cpu", "cuda"), default="cpu"))  # fmt: skip
def extract(a: Arguments) -> None:
    from lgsf.extract.extract import extract

    extract(_json(a.settings, "--settings"), name=a.name, shard=a.shard, root=a.out, device=a.device)


@verb("train one run, or go on with it", on_device=True, config=PATH, dataset=PATH, seed=SEED, out=PATH)
def train(a: Arguments) -> None:
    from lgsf.training.train import train

    train(config=a.config, dataset=a.dataset, seed=a.seed, out=a.out)


@verb("check what tuning may change and write the plan", settings=TEXT, out=PATH)
def ranges(a: Arguments) -> None:
    from lgsf.tuning.plan import write_plan

    write_plan(_json(a.settings, "--settings"), out=a.out)


@verb("run one method's trials on dev, or go on with them", on_device=True, plan=PATH, dataset=PATH, out=PATH)
def tune(a: Arguments) -> None:
    from lgsf.tuning.trials import tune

    tune(plan=a.plan, dataset=a.dataset, out=a.out)


@verb("write tuned values as a config file", tuned=option(type=path, nargs="+"), experiment=TEXT, out=PATH)
def tuned(a: Arguments) -> None:
    from lgsf.tuning.collect import write_config

    write_config(a.tuned, _json(a.experiment, "--experiment"), out=a.out)


@verb("rank dev and test with a run", on_device=True, run=PATH, dataset=PATH, memory_mb=MEMORY)
def evaluate(a: Arguments) -> None:
    from lgsf.evaluation.evaluate import evaluate

    evaluate(run=a.run, dataset=a.dataset, memory_mb=a.memory_mb)


@verb("rank dev and test by the mean score of trained runs", on_device=True, members=PATHS, dataset=PATH, name=TEXT,
      title=option(default=""), seed=SEED, out=PATH, memory_mb=MEMORY)  # fmt: skip
def ensemble(a: Arguments) -> None:
    from lgsf.evaluation.ensemble import ensemble

    ensemble(members=a.members, dataset=a.dataset, name=a.name, title=a.title or a.name, seed=a.seed, out=a.out,
             memory_mb=a.memory_mb)  # fmt: skip


@verb("what batch-dependent evaluation would do to a run of LGSF", on_device=True, run=PATH, dataset=PATH, out=PATH,
      batch_size=option(type=whole(1, 2**20), default=None), memory_mb=MEMORY)  # fmt: skip
def diagnose_interaction(a: Arguments) -> None:
    from lgsf.evaluation.transductive import diagnose

    diagnose(run=a.run, dataset=a.dataset, out=a.out, batch_size=a.batch_size, memory_mb=a.memory_mb)


@verb("render the diagnoses apart from the comparison", experiment=TEXT, results=PATH, out=PATH)
def transductive_report(a: Arguments) -> None:
    from lgsf.config.experiment import Experiment
    from lgsf.report.transductive import write_transductive

    print(write_transductive(Experiment.parse(a.experiment), results=a.results, out=a.out))


@verb("write a control's run", kind=option(choices=CONTROLS), dataset=PATH, seed=SEED, out=PATH)
def control(a: Arguments) -> None:
    from lgsf.evaluation.controls import control

    control(kind=a.kind, dataset=a.dataset, seed=a.seed, out=a.out)


@verb("rank dev and test with a dual encoder off the shelf", on_device=True, name=TEXT, settings=TEXT, dataset=PATH,
      photos=option(default="", help="folder of the photos"), out=PATH,
      device=option(choices=("cpu", "cuda"), default="cpu"), threads=option(type=int, default=1))  # fmt: skip
def zero_shot(a: Arguments) -> None:
    from lgsf.evaluation.zero_shot import zero_shot

    zero_shot(
        _json(a.settings, "--settings"), name=a.name, dataset=a.dataset, photos=Path(a.photos) if a.photos else None,
        out=a.out, device=a.device, threads=a.threads,
    )  # fmt: skip


@verb("collect runs into tables", experiment=TEXT, results=PATH, out=PATH)
def tables(a: Arguments) -> None:
    from lgsf.config.experiment import Experiment
    from lgsf.tables.write import write_tables

    write_tables(Experiment.parse(a.experiment), results=a.results, out=a.out)


@verb("collect answers, attention and pictures for the report", experiment=TEXT, results=PATH, resources=PATH,
      photos=option(default="{}"), out=PATH)  # fmt: skip
def album(a: Arguments) -> None:
    from lgsf.config.experiment import Experiment
    from lgsf.gallery.collect import write_albums

    photos = _json(a.photos, "--photos")
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


@verb("turn the scores of any code into a run", dataset=PATH, split=TEXT, name=TEXT, seed=option(type=whole(0, LARGEST_SEED), default=0),
      results=PATH, scores=MAYBE_PATH, images=MAYBE_PATH, captions=MAYBE_PATH, ids=MAYBE_PATH, text_encoder=MAYBE_TEXT,
      features=MAYBE_TEXT, ensemble=option(choices=("yes", "no"), default=None))  # fmt: skip
def import_scores(a: Arguments) -> None:
    from lgsf.importing.scores import import_scores

    print(
        import_scores(
            dataset=a.dataset, split=a.split, name=a.name, seed=a.seed, results=a.results,
            scores=a.scores, images=a.images, captions=a.captions, ids=a.ids,
            text_encoder=a.text_encoder, features=a.features,
            ensemble=None if a.ensemble is None else a.ensemble == "yes",
        )
    )  # fmt: skip


@verb("turn a checkpoint that authors released into a run", method=TEXT, checkpoint=PATH, vocab=MAYBE_PATH,
      bert=MAYBE_TEXT, dataset=PATH, out=PATH, name=MAYBE_TEXT, title=MAYBE_TEXT, seed=option(type=whole(0, LARGEST_SEED), default=None),
      device=option(choices=("cpu", "cuda"), default="cpu"), threads=option(type=whole(1, 256), default=1))  # fmt: skip
def import_checkpoint(a: Arguments) -> None:
    from lgsf.importing.checkpoint import import_checkpoint

    print(
        import_checkpoint(
            method=a.method, checkpoint=a.checkpoint, vocab=a.vocab, bert=a.bert, dataset=a.dataset, out=a.out,
            name=a.name, title=a.title, seed=a.seed, device=a.device, threads=a.threads,
        )
    )  # fmt: skip


@verb("follow numbers from the report back to the data", report=MAYBE_PATH, results=MAYBE_PATH,
      dataset=option(type=path, nargs="+", default=[]))  # fmt: skip
def verify(a: Arguments) -> None:
    from lgsf.verification.verify import verify

    print(verify(report=a.report, results=a.results, datasets=a.dataset))


@verb("write the JSON schema of the configuration", out=PATH)
def schema(a: Arguments) -> None:
    from lgsf.config.schema import write_schema

    write_schema(a.out)


@verb("make a folder of your own in which to run the workflow", folder=argument(type=path, metavar="FOLDER"))
def deploy(a: Arguments) -> None:
    from lgsf.system.project.deploy import deploy

    deploy(a.folder)
    print(f"Deployed into {a.folder}. Run it there: snakemake --cores all")


def _json(text: str, name: str) -> Any:
    from lgsf.config.loading import read_json_argument

    return read_json_argument(text, name)


def parser() -> argparse.ArgumentParser:
    """All verbs and their options."""
    top = argparse.ArgumentParser(prog="lgsf", description=__doc__.partition("\n")[0])
    top.add_argument("--version", action="version", version=f"lgsf {__version__}")
    verbs = top.add_subparsers(metavar="VERB", required=True)
    for name, one in VERBS.items():
        sub = verbs.add_parser(name, help=one.help, description=one.help)
        for key, settings in one.options.items():
            sub.add_argument("--" + key.replace("_", "-") if "required" in settings else key, **settings)
        sub.add_argument("--log", type=path, help="file for the full log")
        sub.set_defaults(verb=name)
    return top


def main(argv: Sequence[str] | None = None) -> None:
    """Run a verb; exit with 2 on a mistake or a fault that the user can mend, 128 + n on signal n, 1 on a bug."""
    arguments = parser().parse_args(argv)
    chosen = VERBS[arguments.verb]
    if chosen.on_device:
        # cuBLAS reads this once, when CUDA starts; without it deterministic matrix products are refused.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    setup(None)  # until the log is open
    in_file = False
    try:
        setup(arguments.log)
        in_file = arguments.log is not None
        chosen.function(arguments)
        sys.stdout.flush()  # so that a full disk or a closed pipe is noticed here
    except (Exception, KeyboardInterrupt) as error:
        known = ending(error)
        if known is None:
            logger.exception("lgsf: unexpected failure; please report it with this log")
            sys.exit(1)
        if known.sentence is None:
            with suppress(OSError):  # the interpreter flushes once more
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(known.status)
        logger.error("lgsf: %s", known.sentence)
        if in_file and not isinstance(error, LgsfError):
            logger.info("where it happened", exc_info=error)  # for the file alone
        sys.exit(known.status)
