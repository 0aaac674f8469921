"""Every verb of the command line in one small chain, each to be run in a process of its own that may be hurt."""

from __future__ import annotations

import gc
import hashlib
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lgsf.system.files import read_json
from lgsf.system.project.places import code
from tests.conftest import write_config
from tests.support.packs import write_pack
from tests.support.planning import TRAINING, plan_of
from tests.support.released_files import make_files

MODULES = (
    "lgsf.cli", "lgsf.data.precomp.prepare", "lgsf.training.train", "lgsf.evaluation.evaluate",
    "lgsf.evaluation.ensemble", "lgsf.evaluation.transductive", "lgsf.evaluation.controls", "lgsf.tables.write",
    "lgsf.gallery.collect", "lgsf.verdict.compare", "lgsf.report.page", "lgsf.report.transductive",
    "lgsf.tuning.trials", "lgsf.tuning.collect", "lgsf.importing.scores", "lgsf.importing.checkpoint",
    "lgsf.verification.verify", "nltk.tokenize", "optuna", "baselines.vsepp", "lgsf.models.lgsf", "torch._dynamo",
)  # fmt: skip
LGSF = {"embedding_dim": 16, "word_dim": 8, "graph": {"heads": 2, "ff": 8}, "interaction": {"heads": 2, "start": 0.0}}
PUBLISHED = str(Path(__file__).parents[2] / "config" / "published.csv")
# What says when, how long and how often, and not what.
VOLATILE = {
    "started",
    "ended",
    "seconds",
    "cpu_seconds",
    "peak_memory_mb",
    "when",
    "resumed",
    "files",
    "run_sha256",
    "lgsf_seal",
    "git",
}


@dataclass(frozen=True)
class Outcome:
    """How a process ended: its status (negative: the signal), and what it said on stderr."""

    status: int
    said: str


def import_all() -> None:
    """Import what the verbs import, and read what their results hang on, so that their processes only fork."""
    for module in MODULES:
        importlib.import_module(module)
    code(*(module for module in MODULES if module.startswith(("lgsf.", "baselines."))))


def write_sources(root: Path) -> None:
    """What a user has before the first verb."""
    write_pack(root / "pack")
    (root / "m" / "lgsf").mkdir(parents=True)
    write_config(root / "one.json", epochs=2, batch_size=4)
    write_config(root / "graph.json", model="lgsf.models.lgsf:LGSF", parameters=LGSF, epochs=2, batch_size=4)
    plan_of(root / "plan", training={**TRAINING, "batch_size": 4})
    rng = np.random.default_rng(0)
    np.save(root / "scores.npy", rng.random((4, 8)))
    (root / "released").mkdir()
    make_files(root / "released", "vsepp_max")


def chain(root: Path) -> dict[str, list[str]]:
    """Verb -> its command line, in an order in which each finds what it needs."""
    data, runs = f"{root}/data/tiny", f"{root}/results/tiny"
    settings = {"source": "precomp", "path": f"{root}/pack", "captions_per_image": 2, "min_count": 1}
    method = json.loads((root / "one.json").read_text())
    experiment = json.dumps(
        {"experiment": "w", "title": "W", "datasets": ["tiny"], "seeds": [0], "reference": "tried",
         "methods": [{"name": "tried", "title": "Tried"}, {"name": "graph", "title": "Graph"},
                     {"name": "mean", "title": "Mean (ensemble)", "ensemble": True}], "controls": ["random"]}
    )  # fmt: skip
    graph = json.loads((root / "graph.json").read_text()) | {"method": "graph"}
    (root / "graph.json").write_text(json.dumps(graph))
    tables = f"{root}/results/tables/t"
    released = f"{root}/released"
    tuning = read_json(root / "plan" / "plan.json", hint="")
    about = {"experiment": "x", "title": "X", "results": "results/x", "logs": "logs/x"}
    return {
        "prepare": ["prepare", "--name", "tiny", "--settings", json.dumps(settings), "--out", data],
        "configure": ["configure", "--settings", json.dumps(method), "--out", f"{runs}/tried/config.json"],
        "train": ["train", "--config", f"{runs}/tried/config.json", "--dataset", data, "--seed", "0",
                  "--out", f"{runs}/tried/seed0"],
        "train graph": ["train", "--config", f"{root}/graph.json", "--dataset", data, "--seed", "0",
                        "--out", f"{runs}/graph/seed0"],
        "evaluate": ["evaluate", "--run", f"{runs}/tried/seed0", "--dataset", data],
        "evaluate graph": ["evaluate", "--run", f"{runs}/graph/seed0", "--dataset", data],
        "diagnose-interaction": ["diagnose-interaction", "--run", f"{runs}/graph/seed0", "--dataset", data,
                                 "--out", f"{runs}/graph/seed0/transductive"],
        "ensemble": ["ensemble", "--members", f"{runs}/tried/seed0", f"{runs}/graph/seed0", "--dataset", data,
                     "--name", "mean", "--seed", "0", "--out", f"{runs}/mean/seed0"],
        "control": ["control", "--kind", "random", "--dataset", data, "--seed", "0", "--out", f"{runs}/random/seed0"],
        "tables": ["tables", "--experiment", experiment, "--results", f"{root}/results", "--out", tables],
        "album": ["album", "--experiment", experiment, "--results", f"{root}/results", "--resources", f"{root}/data",
                  "--out", f"{tables}/album"],
        "compare": ["compare", "--experiment", experiment, "--tables", tables, "--table", PUBLISHED, "--out", tables],
        "report": ["report", "--experiment", experiment, "--results", f"{root}/results", "--tables", tables,
                   "--out", f"{root}/report"],
        "transductive-report": ["transductive-report", "--experiment", experiment, "--results", f"{root}/results",
                                "--out", f"{root}/report/transductive"],
        "import-scores": ["import-scores", "--dataset", data, "--split", "test", "--name", "Mine",
                          "--results", f"{root}/results", "--scores", f"{root}/scores.npy"],
        "import-checkpoint": ["import-checkpoint", "--method", "vsepp", "--vocab",
                              f"{released}/coco_precomp_vocab.json", "--checkpoint", f"{released}/model_best.pth.tar",
                              "--dataset", f"{released}/data", "--out", f"{root}/results/golden/authors/seed0"],
        "ranges": ["ranges", "--settings", json.dumps(tuning), "--out", f"{root}/tuning/small/plan.json"],
        "tune": ["tune", "--plan", f"{root}/tuning/small/plan.json", "--dataset", data,
                 "--out", f"{root}/tuning/small"],
        "tuned": ["tuned", "--tuned", f"{root}/tuning/small/tuned.json", "--about", json.dumps(about),
                  "--out", f"{root}/tuned.yaml"],
        "schema": ["schema", "--out", f"{root}/schema.json"],
        "estimate": ["estimate", "--config", f"{root}/one.json", "--resources", f"{root}/data", "--steps", "1"],
        "verify": ["verify", "--report", f"{root}/report", "--results", f"{root}/results", "--dataset", data],
    }  # fmt: skip


def in_a_process(
    arguments: Sequence[str], *, before: Callable[[], None] = lambda: None, kill_after: float | None = None
) -> Outcome:
    """Run a verb in a fork; `before` hurts it from inside, `kill_after` seconds from outside."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        _child(arguments, before, write)
    os.close(write)
    said: list[bytes] = []
    reader = threading.Thread(target=lambda: said.append(_all(read)))
    reader.start()
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    reader.join()
    os.close(read)
    return Outcome(os.waitstatus_to_exitcode(status), b"".join(said).decode("utf-8", "replace"))


def _child(arguments: Sequence[str], before: Callable[[], None], write: int) -> None:
    status = 1
    gc.freeze()  # a million objects of libraries that no collection of this process needs to walk
    try:
        os.dup2(write, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        before()
        from lgsf.cli import main

        main(list(arguments))
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException as error:
        print(f"Traceback: {error!r}", file=sys.stderr)
    finally:
        sys.stderr.flush()
        os._exit(status)


def _all(descriptor: int) -> bytes:
    parts = []
    while part := os.read(descriptor, 1 << 16):
        parts.append(part)
    return b"".join(parts)


def no_file_above(size: int) -> Callable[[], None]:
    """The disk refuses every byte behind the first `size` of a file."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def contents(root: Path) -> dict[str, str]:
    """Every file that counts -> what it says, times and durations aside; no locks and no other hidden files."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        if path.is_file() and not any(part.startswith(".") for part in name.parts):
            found[str(name)] = _content(path)
    return found


def _content(path: Path) -> str:
    if path.suffix in (".json", ".jsonl") and path.name not in ("schema.json", "made_from.json"):
        with suppress(ValueError):  # a damaged one that a verb left alone, or took over from its user, counts as it is
            lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
            return json.dumps([_steady(json.loads(line)) for line in lines], sort_keys=True)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _steady(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _steady(own) for key, own in value.items() if key not in VOLATILE}
    return [_steady(own) for own in value] if isinstance(value, list) else value


def copy_into(source: Path, target: Path) -> None:
    """The content of a folder into one that is there (a file system of its own, perhaps)."""
    for entry in list(target.iterdir()):
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    shutil.copytree(source, target, dirs_exist_ok=True, symlinks=True)
