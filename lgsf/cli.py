"""The verbs of the command line: each reads its arguments, calls one stage, and explains failures in a sentence."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lgsf.config.names import CONTROLS
from lgsf.system.errors import LgsfError

logger = logging.getLogger("lgsf")
Arguments = argparse.Namespace


def _configure(a: Arguments) -> None:
    from lgsf.models.build import check_settings
    from lgsf.system.files import write_json

    write_json(a.out, check_settings(_json(a.settings, "--settings"), source="the configuration"))


def _prepare(a: Arguments) -> None:
    from lgsf.data.prepare import prepare

    prepare(_json(a.settings, "--settings"), name=a.name, root=a.out)


def _train(a: Arguments) -> None:
    # cuBLAS reads this once, when CUDA starts; without it deterministic matrix products are refused.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    from lgsf.training.train import train

    train(config=a.config, dataset=a.dataset, seed=a.seed, out=a.out)


def _ranges(a: Arguments) -> None:
    from lgsf.tuning.plan import write_plan

    write_plan(_json(a.settings, "--settings"), out=a.out)


def _tune(a: Arguments) -> None:
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    from lgsf.tuning.trials import tune

    tune(plan=a.plan, dataset=a.dataset, out=a.out)


def _tuned(a: Arguments) -> None:
    from lgsf.tuning.collect import write_config

    write_config(a.tuned, _json(a.experiment, "--experiment"), out=a.out)


def _evaluate(a: Arguments) -> None:
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    from lgsf.evaluation.evaluate import evaluate

    evaluate(run=a.run, dataset=a.dataset, memory_mb=a.memory_mb)


def _ensemble(a: Arguments) -> None:
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    from lgsf.evaluation.ensemble import ensemble

    ensemble(members=a.members, dataset=a.dataset, name=a.name, title=a.title or a.name, seed=a.seed, out=a.out,
             memory_mb=a.memory_mb)  # fmt: skip


def _diagnose_interaction(a: Arguments) -> None:
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    from lgsf.evaluation.transductive import diagnose

    diagnose(run=a.run, dataset=a.dataset, out=a.out, batch_size=a.batch_size, memory_mb=a.memory_mb)


def _transductive_report(a: Arguments) -> None:
    from lgsf.config.experiment import Experiment
    from lgsf.report.transductive import write_transductive

    print(write_transductive(Experiment.parse(a.experiment), results=a.results, out=a.out))


def _control(a: Arguments) -> None:
    from lgsf.evaluation.controls import control

    control(kind=a.kind, dataset=a.dataset, seed=a.seed, out=a.out)


def _tables(a: Arguments) -> None:
    from lgsf.config.experiment import Experiment
    from lgsf.tables.write import write_tables

    write_tables(Experiment.parse(a.experiment), results=a.results, out=a.out)


def _album(a: Arguments) -> None:
    from lgsf.config.experiment import Experiment
    from lgsf.gallery.collect import write_albums

    photos = _json(a.photos, "--photos")
    write_albums(Experiment.parse(a.experiment), results=a.results, resources=a.resources, photos=photos, out=a.out)


def _compare(a: Arguments) -> None:
    from lgsf.config.experiment import Experiment
    from lgsf.verdict.compare import compare

    experiment = None if a.experiment is None else Experiment.parse(a.experiment)
    print(
        compare(
            experiment=experiment, results=a.results, tables=a.tables, dataset=a.dataset, method=a.method,
            published=a.published, reference=a.reference, config=a.config, table=a.table, out=a.out,
        )
    )  # fmt: skip


def _published(a: Arguments) -> None:
    from lgsf.verdict.files import read_table

    rows, spread = read_table(a.table)
    keys = len({row.key for row in rows if row.key})
    print(f"{a.table}: {len(rows)} published rows, {keys} keys and {len(spread)} spreads over seeds, all sound.")


def _report(a: Arguments) -> None:
    from lgsf.config.experiment import Experiment
    from lgsf.report.page import write_report

    print(write_report(Experiment.parse(a.experiment), results=a.results, tables=a.tables, out=a.out))


def _import_scores(a: Arguments) -> None:
    from lgsf.importing.scores import import_scores

    print(
        import_scores(
            dataset=a.dataset, split=a.split, name=a.name, seed=a.seed, results=a.results,
            scores=a.scores, images=a.images, captions=a.captions, ids=a.ids,
            text_encoder=a.text_encoder, features=a.features,
            ensemble=None if a.ensemble is None else a.ensemble == "yes",
        )
    )  # fmt: skip


def _import_checkpoint(a: Arguments) -> None:
    from lgsf.importing.checkpoint import import_checkpoint

    print(
        import_checkpoint(
            method=a.method, checkpoint=a.checkpoint, vocab=a.vocab, bert=a.bert, dataset=a.dataset, out=a.out,
            name=a.name, title=a.title, seed=a.seed, device=a.device, threads=a.threads,
        )
    )  # fmt: skip


def _schema(a: Arguments) -> None:
    from lgsf.config.schema import write_schema

    write_schema(a.out)


def _json(text: str, option: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise LgsfError(f"{option} is not valid JSON ({error}); quote it as one argument.") from None


def parser() -> argparse.ArgumentParser:
    """All verbs and their options."""
    top = argparse.ArgumentParser(prog="lgsf", description=__doc__)
    verbs = top.add_subparsers(metavar="VERB", required=True)

    def verb(name: str, function: Callable[[Arguments], None], help_: str, /, **options: dict[str, Any]) -> None:
        sub = verbs.add_parser(name, help=help_)
        for option, settings in options.items():
            sub.add_argument("--" + option.replace("_", "-"), **{"required": "default" not in settings, **settings})
        sub.add_argument("--log", type=Path, help="file for the full log")
        sub.set_defaults(function=function)

    path: dict[str, Any] = {"type": Path}
    seed: dict[str, Any] = {"type": int}
    verb("configure", _configure, "check one method's settings and write them", settings={}, out=path)
    verb("prepare", _prepare, "turn a source into a dataset", name={}, settings={}, out=path)
    verb("train", _train, "train one run, or go on with it", config=path, dataset=path, seed=seed, out=path)
    verb("ranges", _ranges, "check what tuning may change and write the plan", settings={}, out=path)
    verb("tune", _tune, "run one method's trials on dev, or go on with them", plan=path, dataset=path, out=path)
    verb("tuned", _tuned, "write tuned values as a config file", tuned={"type": Path, "nargs": "+"}, experiment={},
         out=path)  # fmt: skip
    verb("evaluate", _evaluate, "rank dev and test with a run", run=path, dataset=path,
         memory_mb={"type": int, "default": 512})  # fmt: skip
    verb("ensemble", _ensemble, "rank dev and test by the mean score of trained runs",
         members={"type": Path, "nargs": "+", "metavar": "RUN"}, dataset=path, name={}, title={"default": ""},
         seed=seed, out=path, memory_mb={"type": int, "default": 512})  # fmt: skip
    verb("diagnose-interaction", _diagnose_interaction, "what batch-dependent evaluation would do to a run of LGSF",
         run=path, dataset=path, out=path, batch_size={"type": int, "default": None},
         memory_mb={"type": int, "default": 512})  # fmt: skip
    verb("transductive-report", _transductive_report, "render the diagnoses apart from the comparison", experiment={},
         results=path, out=path)  # fmt: skip
    verb("control", _control, "write a control's run", kind={"choices": CONTROLS}, dataset=path, seed=seed, out=path)
    verb("tables", _tables, "collect runs into tables", experiment={}, results=path, out=path)
    verb("album", _album, "collect answers, attention and pictures for the report", experiment={}, results=path,
         resources=path, photos={"default": "{}"}, out=path)  # fmt: skip
    verb("report", _report, "render the report", experiment={}, results=path, tables=path, out=path)
    optional: dict[str, Any] = {"type": Path, "default": None}
    given: dict[str, Any] = {"default": None}
    table: dict[str, Any] = {"type": Path, "default": Path("config/published.csv")}
    verb("compare", _compare, "hold runs against published numbers and the claim", experiment=given, tables=optional,
         results=optional, dataset=given, method=given, published=given, reference=given,
         config={"type": Path, "default": Path("config/config.yaml")}, table=table, out=optional)  # fmt: skip
    verb("published", _published, "check the table of published numbers", table=table)
    verb("import-scores", _import_scores, "turn the scores of any code into a run", dataset=path, split={}, name={},
         seed={"type": int, "default": 0}, results=path, scores=optional, images=optional, captions=optional,
         ids=optional, text_encoder=given, features=given,
         ensemble={"choices": ("yes", "no"), "default": None})  # fmt: skip
    verb("import-checkpoint", _import_checkpoint, "turn a checkpoint that authors released into a run", method={},
         checkpoint=path, vocab=optional, bert={"default": None}, dataset=path, out=path, name={"default": None},
         title={"default": None},
         seed={"type": int, "default": None}, device={"choices": ("cpu", "cuda"), "default": "cpu"},
         threads={"type": int, "default": 1})  # fmt: skip
    verb("schema", _schema, "write the JSON schema of the configuration", out=path)
    return top


def main(argv: Sequence[str] | None = None) -> None:
    """Run a verb; exit with 2 on a user's mistake, 128 + n on signal n."""
    from lgsf.system.interrupts import Interrupted
    from lgsf.system.logs import setup

    arguments = parser().parse_args(argv)
    setup(arguments.log)
    try:
        arguments.function(arguments)
    except LgsfError as error:
        logger.error("lgsf: error: %s", error)
        sys.exit(2)
    except Interrupted as error:
        logger.error("lgsf: %s; run the same command again to go on.", error)
        sys.exit(128 + error.signal_number)
    except Exception:
        logger.exception("lgsf: unexpected failure; please report it with this log")
        sys.exit(1)
