"""One run: its record, its weights, its log and its ranks belong together, and to the dataset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lgsf.data.layout import Dataset
from lgsf.metrics.recall import metrics
from lgsf.runs.facts import RunFacts, read_facts
from lgsf.runs.log import read_log
from lgsf.runs.origin import EVALUATED, MADE_FROM, WEIGHTS, check_file, check_origin, parse_origin
from lgsf.runs.ranks import read_ranks
from lgsf.runs.record import FILE
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_arrays
from lgsf.verification.findings import Findings

SPLITS = ("dev", "test")
FREE = ("model.safetensors", "training_only.safetensors")  # numbers are rebuilt without weights: they may be deleted


def verify_run(run: Path, datasets: Mapping[str, Dataset], findings: Findings) -> None:
    """LgsfError for the first of the run's links that does not hold; datasets: those at hand, by name."""
    facts = read_facts(run)
    if not facts.files:
        findings.note("runs of an older version, whose record names no files (not tied)", run)
    for split in SPLITS:
        _verify_split(run, split, facts, findings)
    if facts.kind == "trained":
        read_log(run)
        findings.holds("logs of trainings")
    for name in facts.files:
        if name in FREE and not (run / name).exists():
            findings.note("weight files that were not kept", run / name)
            continue
        check_file(run, facts, name)
        findings.holds("files of runs that their record names")
    if WEIGHTS not in facts.files and (run / WEIGHTS).is_file():
        findings.note("weight files that no record names (not tied)", run / WEIGHTS)
    data = datasets.get(facts.dataset)
    if data is None:
        return
    if facts.dataset_sha256 != data.sha256:
        raise LgsfError(
            f"{run / FILE} was made from another version of the dataset than {data.root}: "
            "name the dataset it was made from, or make the run again."
        )
    findings.holds("runs whose dataset is the given one")


def _verify_split(run: Path, split: str, facts: RunFacts, findings: Findings) -> None:
    for name in (*EVALUATED, "gallery.npz"):
        path = run / split / name
        if not path.is_file():
            if f"{split}/{name}" in facts.files:
                raise LgsfError(f"{path} is missing, and {FILE} names it: evaluate the run again.")
            continue
        arrays = read_arrays(path, hint="evaluate the run again")
        made_from = parse_origin(path, arrays.pop(MADE_FROM, None))
        if check_origin(path.parent, name, facts, made_from):
            findings.holds("files of evaluated splits")
        else:
            findings.note("files of evaluated splits that nothing ties to weights (not tied)", path)
    if (run / split / "ranks.npz").is_file():
        ranks = read_ranks(run, split)
        said = facts.dev if split == "dev" and facts.kind in ("trained", "ensemble") else None
        if said is not None and abs(metrics(ranks.i2t, ranks.t2i)["rsum"] - said["rsum"]) > 1.0:
            raise LgsfError(
                f"{run / split / 'ranks.npz'} gives another dev rSum than {FILE}: evaluate the run again, "
                "or train it again."
            )
