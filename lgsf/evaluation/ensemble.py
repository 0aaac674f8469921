"""Ensembles: the mean of the score matrices of trained runs, ranked like a run and never called a single model.

Published "SCAN*", "SGRAF*" and "VSRN*" rows are such means. The scores are computed anew from the members'
weights, tile by tile, so no score matrix has to be kept; what is held are the members' embeddings and, while it
fits the budget, the mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lgsf.config.names import ensemble_title
from lgsf.data.layout import open_dataset
from lgsf.evaluation.protocol import rank_and_write
from lgsf.metrics.recall import metrics
from lgsf.models.scoring import MeanScores
from lgsf.runs.names import UNKNOWN
from lgsf.runs.opened import OpenRun, open_run
from lgsf.runs.origin import WEIGHTS, evaluated_files
from lgsf.runs.provenance import now, provenance
from lgsf.runs.record import FILE, Member, RunRecord, read_record, write_record
from lgsf.system.errors import LgsfError
from lgsf.system.given import check_seed, seed_of_folder
from lgsf.system.hashes import sha256

SUMS = ("seconds", "cpu_seconds", "parameters", "parameters_training_only", "steps", "dev_looks")
LARGEST = ("peak_memory_mb", "peak_gpu_memory_mb")


def ensemble(
    *, members: Sequence[Path], dataset: Path, name: str, title: str, seed: int, out: Path, memory_mb: int
) -> None:
    """Rank dev and test by the mean score of trained runs and write the record of kind "ensemble" into `out`.

    Raises LgsfError for fewer than two members, a run that is listed twice, a member without weights (a control,
    imported scores, another ensemble) and a member that was trained on other data.
    """
    seed_of_folder(out, check_seed(seed))
    _check(members)
    data = open_dataset(dataset)
    started = now()
    read = [sha256(member / FILE) for member in members]
    opened = [open_run(member, dataset) for member in members]
    facts = provenance(data, device=opened[0].device)
    dev = {}
    for split_name in ("dev", "test"):
        split = data.split(split_name)
        scores = MeanScores([one.scores(split, memory_mb) for one in opened], memory_mb)
        origin = {"members": [one.weights[WEIGHTS] for one in opened]}
        ranking = rank_and_write(out / split_name, data, split, scores, made_from=origin)
        if split_name == "dev":
            dev = metrics(ranking.i2t, ranking.t2i)
    records = [one.record for one in opened]
    record = RunRecord(
        **facts,
        kind="ensemble",
        dataset=data.name,
        method=name,
        title=ensemble_title(title),
        seed=seed,
        text_encoder=" + ".join(dict.fromkeys(one.text_encoder or UNKNOWN for one in records)),
        config={
            "combine": "mean of scores",
            "members": [_named(one) for one in records],
            "tuned": {"dev_looks": _tuning_looks(records)},
        },
        members=[_member(one, digest) for one, digest in zip(opened, read, strict=True)],
        files=evaluated_files(out, ("dev", "test")),
        **_costs(records),
        dev=dev,
        started=started,
        ended=now(),
        ending="finished",
    )
    write_record(out, record)


def _check(members: Sequence[Path]) -> None:
    if len(members) < 2:
        raise LgsfError("--members names fewer than two runs: the mean of one run is that run.")
    folders = [member.resolve() for member in members]
    for folder, member in zip(folders, members, strict=True):
        if folders.count(folder) > 1:
            raise LgsfError(f"--members names {member} twice: list runs that differ, by method or by seed.")
        if read_record(member).kind == "ensemble":
            raise LgsfError(f"{member} is itself an ensemble: list its members instead.")


def _named(record: RunRecord) -> dict[str, Any]:
    """What is the same in every seed of the ensemble."""
    return {"method": record.method, "model": record.config["model"]}


def _tuning_looks(records: Sequence[RunRecord]) -> int:
    """Looks at dev that tuning took; the seeds of one method share its tuning."""
    return sum({one.method: int((one.config.get("tuned") or {}).get("dev_looks", 0)) for one in records}.values())


def _member(opened: OpenRun, run_sha256: str) -> Member:
    """A member as it was when its scores were computed."""
    record = opened.record
    return Member(
        dataset=record.dataset,
        method=record.method,
        seed=record.seed,
        config_sha256=record.config_sha256,
        weights_sha256=opened.weights[WEIGHTS],
        run_sha256=run_sha256,
        dev_rsum=(record.dev or {}).get("rsum"),
    )


def _costs(records: Sequence[RunRecord]) -> dict[str, Any]:
    """Costs over all members and how each was combined; null where a member does not know its own."""
    costs: dict[str, Any] = {}
    for names, combine in ((SUMS, sum), (LARGEST, max)):
        for name in names:
            values: list[Any] = [getattr(record, name) for record in records]
            costs[name] = None if None in values else combine(values)
    return {
        **costs,
        "combined_costs": {**dict.fromkeys(SUMS, "sum over members"), **dict.fromkeys(LARGEST, "largest member")},
    }
