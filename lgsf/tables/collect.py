"""One row per run: what finished, what failed, what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lgsf.config.experiment import ExpectedRun, Experiment
from lgsf.metrics.names import RANK_METRICS, is_twin
from lgsf.runs.facts import RunFacts, read_facts
from lgsf.runs.failure import read_failure
from lgsf.runs.names import APART
from lgsf.runs.record import Device
from lgsf.runs.twins import twin_accuracy
from lgsf.system.errors import LgsfError
from lgsf.system.hashes import sha256
from lgsf.tables.finished import Finished
from lgsf.tables.inputs import INPUTS

COSTS = ("seconds", "cpu_seconds", "peak_memory_mb", "peak_gpu_memory_mb", "parameters", "parameters_training_only")


GRAPH_CONTROL = "truth"  # reads the scene graph, which only drawn scenes have


GROUP = ["dataset", "protocol", "method"]


RUN_COLUMNS = (
    *("dataset", "protocol", "method", "title", "kind", *INPUTS, "seed", "status", "reason", *RANK_METRICS, *COSTS),
    *("steps", "best_epoch", "dev_looks", "tuning_looks", "dev_rsum"),
    *("images", "captions", "evaluation", "queries_sha256", "source"),
    *(
        "ranks_sha256",
        "run_sha256",
        "dataset_sha256",
        "config_sha256",
        "git_commit",
        "git_dirty",
        "device",
        "started",
        "ended",
    ),
    "resumed",
)


def collect(experiment: Experiment, finished: Finished) -> pd.DataFrame:
    """One row per expected dataset x method x seed and protocol ("full", and "folds" where there are any).

    `status` is finished, failed or missing; the latter two have a `reason` and no numbers. Twin accuracies
    are further columns `twin_<kind>`. Nothing is read but run.json, failure.json and the test split's arrays.

    The control `truth` is not expected of data without a scene graph.

    Raises LgsfError for a broken run folder, or for runs of one dataset that ranked different queries.
    """
    rows: list[dict[str, Any]] = []
    for dataset in experiment.datasets:
        expected = [run for run in experiment.expected() if run.dataset == dataset]
        read = [(run, _read(run, finished)) for run in expected]
        protocols = list(dict.fromkeys(row["protocol"] for _, found in read for row in found)) or ["full"]
        has_no_graph = any(row["source"] != "scenes" for _, found in read for row in found)
        for run, found in read:
            if not found and run.method == GRAPH_CONTROL and has_no_graph:
                continue
            rows += found or [_absent(run, finished, protocol) for protocol in protocols]
    twins = sorted({key for row in rows for key in row if is_twin(key)})
    table = pd.DataFrame(rows, columns=[*RUN_COLUMNS, *twins])
    numeric = [
        *RANK_METRICS,
        *COSTS,
        "steps",
        "best_epoch",
        "dev_looks",
        "tuning_looks",
        "dev_rsum",
        "images",
        "captions",
        *twins,
    ]
    table[numeric] = table[numeric].astype(np.float64)
    _refuse_mixtures(table, finished.results)
    return table


def _read(run: ExpectedRun, finished: Finished) -> list[dict[str, Any]]:
    """Rows of a finished run, one per protocol; none if the run is not finished."""
    folder = finished.folder(run.dataset, run.method, run.seed)
    if not (folder / "run.json").is_file() or not (folder / "test" / "ranks.npz").is_file():
        return []
    run_sha256, facts = sha256(folder / "run.json"), read_facts(folder)
    for key, want, have in (
        ("dataset", run.dataset, facts.dataset),
        ("method", run.method, facts.method),
        ("seed", run.seed, facts.seed),
    ):
        if want != have:
            raise LgsfError(
                f"{folder / 'run.json'}: {key} is {have!r}, but the folder is that of {want!r}; move it back."
            )
    expected = {"control": run.is_control, "ensemble": run.is_ensemble, "zero_shot": run.is_zero_shot}
    if run.is_imported:
        expected = dict.fromkeys(APART, False)  # whatever else it was where it comes from
    if any(is_so != (facts.kind == kind) for kind, is_so in expected.items()):
        raise LgsfError(f"{folder / 'run.json'}: kind is {facts.kind!r}, which does not fit the name {run.method!r}.")
    ranks = finished.ranks(run.dataset, run.method, run.seed)
    twins = twin_accuracy(folder)
    return [
        {
            **_identity(run, run.kind if run.is_imported else facts.kind),
            **facts.inputs,
            "protocol": protocol,
            "status": "finished",
            "reason": "",
            **scores,
            **twins,
        }
        | _provenance(facts)
        | {"images": len(ranks.i2t), "captions": len(ranks.t2i), "evaluation": ranks.protocol}
        | {"queries_sha256": ranks.queries, "ranks_sha256": ranks.sha256}
        | {"run_sha256": run_sha256}
        for protocol, scores in ranks.metrics().items()
    ]


def _absent(run: ExpectedRun, finished: Finished, protocol: str) -> dict[str, Any]:
    folder = finished.folder(run.dataset, run.method, run.seed)
    failure = read_failure(folder)
    if failure is not None:
        where = f" (epoch {failure.epoch})" if failure.epoch is not None else ""
        status, reason = "failed", f"{failure.reason}{where}"
    elif (folder / "run.json").is_file():
        status, reason = "missing", "trained, but its test split has not been evaluated"
    else:
        status, reason = "missing", "no finished run in its folder"
    inputs = dict.fromkeys(INPUTS, "")
    return {**_identity(run, run.kind), **inputs, "protocol": protocol, "status": status, "reason": reason}


def _identity(run: ExpectedRun, kind: str) -> dict[str, Any]:
    return {"dataset": run.dataset, "method": run.method, "title": run.title, "seed": run.seed, "kind": kind}


def _provenance(facts: RunFacts) -> dict[str, Any]:
    same = (
        "steps",
        "best_epoch",
        "tuning_looks",
        "dataset_sha256",
        "config_sha256",
        "started",
        "ended",
        "resumed",
    )
    return {name: getattr(facts, name) for name in (*COSTS, *same)} | {
        "dev_looks": facts.all_looks,
        "dev_rsum": None if facts.dev is None else facts.dev.get("rsum"),
        "git_commit": facts.git.commit,
        "git_dirty": facts.git.dirty,
        "source": facts.data.get("source", {}).get("kind", ""),
        "device": device_words(facts.device),
    }


def device_words(device: Device) -> str:
    """Its kind, what it calls itself, and the numbers of the GPUs."""
    numbers = ", ".join(str(gpu.index) for gpu in device.gpus)
    gpus = "" if not numbers else f"GPU {numbers}" if len(device.gpus) == 1 else f"GPUs {numbers}"
    return " ".join(dict.fromkeys(word for word in (device.type, device.name, gpus) if word))


def _refuse_mixtures(table: pd.DataFrame, results: Path) -> None:
    """Runs share a table only if they ranked the same queries of the same data under the same protocol."""
    for dataset, group in table[table["status"] == "finished"].groupby("dataset", sort=False):
        for column, what in (
            ("evaluation", "protocols"),
            ("dataset_sha256", "versions of the dataset"),
            ("queries_sha256", "test queries"),
        ):
            for first, other in _unequal(group, column):
                raise LgsfError(
                    f"{results / str(dataset)}: {first} and {other} were evaluated under different {what}; "
                    "numbers of both cannot stand in one table, so run the older one again."
                )
        for _, own in group.groupby("method", sort=False):
            for column, what in INPUTS.items():
                for first, other in _unequal(own, column):
                    raise LgsfError(
                        f"{results / str(dataset)}: {first} and {other} differ in their {what} "
                        f"({' and '.join(dict.fromkeys(own[column]))}); seeds of one method share it, so run one again."
                    )


def _unequal(group: pd.DataFrame, column: str) -> Iterator[tuple[str, str]]:
    """Pairs (first run, a run that differs from it in `column`)."""
    names = group["method"] + "/seed" + group["seed"].astype(str)
    for name, value in zip(names, group[column], strict=True):
        if value != group[column].iloc[0]:
            yield names.iloc[0], name
