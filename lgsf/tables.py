"""Collect finished runs into tidy tables: every run, mean and SD over seeds, differences to the reference."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lgsf.beyond import collect_beyond
from lgsf.errors import LgsfError
from lgsf.experiment import ExpectedRun, Experiment
from lgsf.factorial import TABLE as FACTORIAL_TABLE
from lgsf.factorial import factorial_runs
from lgsf.files import write_atomically, write_text
from lgsf.formatting import RECALLS
from lgsf.inputs import INPUTS
from lgsf.latex import latex
from lgsf.results import RunFacts, read_facts, read_failure, read_ranks, twin_accuracy
from lgsf.significance import compare_runs
from lgsf.tabletext import markdown

RANK_METRICS = (*RECALLS, "rsum", "i2t_medr", "i2t_meanr", "t2i_medr", "t2i_meanr")
COSTS = ("seconds", "peak_memory_mb", "peak_gpu_memory_mb", "parameters", "parameters_training_only")
GRAPH_CONTROL = "truth"  # reads the scene graph, which only drawn scenes have
GROUP = ["dataset", "protocol", "method"]
RUN_COLUMNS = (
    *("dataset", "protocol", "method", "title", "kind", *INPUTS, "seed", "status", "reason", *RANK_METRICS, *COSTS),
    *("steps", "best_epoch", "dev_looks", "tuning_looks", "dev_rsum"),
    *("images", "captions", "evaluation", "queries_sha256", "source"),
    *(
        "ranks_sha256",
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


def collect(experiment: Experiment, results: Path) -> pd.DataFrame:
    """One row per expected dataset x method x seed and protocol ("full", and "folds" where there are any).

    `status` is finished, failed or missing; the latter two have a `reason` and no numbers. Twin accuracies
    are further columns `twin_<kind>`. Nothing is read but run.json, failure.json and the test split's arrays.

    The control `truth` is not expected of data without a scene graph.

    Raises LgsfError for a broken run folder, or for runs of one dataset that ranked different queries.
    """
    rows: list[dict[str, Any]] = []
    for dataset in experiment.datasets:
        expected = [run for run in experiment.expected() if run.dataset == dataset]
        read = [(run, _read(run, results / run.folder)) for run in expected]
        protocols = list(dict.fromkeys(row["protocol"] for _, found in read for row in found)) or ["full"]
        has_no_graph = any(row["source"] != "scenes" for _, found in read for row in found)
        for run, found in read:
            if not found and run.method == GRAPH_CONTROL and has_no_graph:
                continue
            rows += found or [_absent(run, results / run.folder, protocol) for protocol in protocols]
    twins = sorted({key for row in rows for key in row if key.startswith("twin_")})
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
    _refuse_mixtures(table, results)
    return table


def metric_columns(runs: pd.DataFrame) -> list[str]:
    """The metrics of a table of runs: ranks, then twin accuracies."""
    return [*RANK_METRICS, *(c for c in runs.columns if c.startswith("twin_"))]


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """Mean, sample SD (NaN for one run), smallest and largest over finished runs; one row per metric.

    `n` runs of `expected` went into a row; `complete` says whether that is all of them. `dev_looks` is how often
    one of these runs, or the tuning behind it, looked at dev.
    """
    rows = []
    for (dataset, protocol, method), group in runs.groupby(GROUP, sort=False):
        for metric in metric_columns(runs):
            values = group[metric].dropna()
            if values.empty and metric.startswith("twin_"):
                continue
            rows.append(
                {
                    **{"dataset": dataset, "protocol": protocol, "method": method},
                    **{"title": group["title"].iloc[0], "kind": group["kind"].iloc[0]},
                    **{name: _told(group[name]) for name in INPUTS},
                    "metric": metric,
                    **{
                        "mean": values.mean(),
                        "sd": values.std(ddof=1),
                        "min": values.min(),
                        "max": values.max(),
                    },
                    **{"n": len(values), "expected": len(group), "complete": len(values) == len(group)},
                    "dev_looks": group["dev_looks"].mean(),
                }
            )
    columns = [*GROUP, "title", "kind", *INPUTS, "metric", "mean", "sd", "min", "max", "n", "expected", "complete"]
    columns += ["dev_looks"]
    return pd.DataFrame(rows, columns=columns)


def _told(values: pd.Series[str]) -> str:
    """The one input that the finished runs of a method share; "" where none has finished."""
    return next((value for value in values if value), "")


def differences(summary: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Every method's mean minus the reference's, in points and in percent of the reference, with both SDs.

    Controls are no competitors and are left out; so are mean and median ranks. Empty without the reference.
    """
    shared = ["dataset", "protocol", "metric"]
    scores = summary[(summary["kind"] != "control") & ~summary["metric"].str.endswith(("medr", "meanr"))]
    base = scores.loc[scores["method"] == reference, [*shared, "mean", "sd", "n", "dev_looks"]]
    table = scores[scores["method"] != reference].merge(base, on=shared, suffixes=("", "_reference"))
    table["difference"] = table["mean"] - table["mean_reference"]
    table["relative_percent"] = 100 * table["difference"] / table["mean_reference"].where(table["mean_reference"] != 0)
    table["reference"] = reference
    both = ["dev_looks", "dev_looks_reference"]
    columns = ["title", "reference", "metric", "difference", "relative_percent", "mean", "sd", "n"]
    return table[[*GROUP, *columns, "mean_reference", "sd_reference", "n_reference", "expected", *both]].reset_index(
        drop=True
    )


def write_tables(experiment: Experiment, *, results: Path, out: Path) -> None:
    """Write runs, summary, differences and comparisons into `out`, each file atomically.

    runs, comparisons and beyond as .parquet and .csv, differences.csv, summary.csv, .md and .tex; for an experiment
    with a factorial also factorial.parquet and .csv
    """
    runs = collect(experiment, results)
    summary = summarise(runs)
    write_parquet(out / "runs.parquet", runs)
    write_text(out / "runs.csv", runs.to_csv(index=False))
    write_text(out / "summary.csv", summary.to_csv(index=False))
    changes = pd.concat([differences(summary, reference) for reference in experiment.references])
    write_text(out / "differences.csv", changes.to_csv(index=False))
    comparisons = compare_runs(experiment, runs, results)
    write_parquet(out / "comparisons.parquet", comparisons)
    write_text(out / "comparisons.csv", comparisons.to_csv(index=False))
    beyond = collect_beyond(runs, results)
    write_parquet(out / "beyond.parquet", beyond)
    write_text(out / "beyond.csv", beyond.to_csv(index=False))
    if experiment.factorial is not None:
        effects = factorial_runs(experiment, runs, results)
        write_parquet(out / FACTORIAL_TABLE, effects)
        write_text(out / "factorial.csv", effects.to_csv(index=False))
    write_text(out / "summary.md", markdown(experiment, summary))
    write_text(out / "summary.tex", latex(experiment, summary, comparisons))


def read_runs(experiment: Experiment, tables: Path) -> pd.DataFrame:
    """The table of runs that `write_tables` left; LgsfError where it is absent or of another experiment."""
    runs = read_parquet(tables / "runs.parquet")
    wanted = {(run.dataset, run.method, run.seed) for run in experiment.expected() if run.method != GRAPH_CONTROL}
    listed = set(zip(runs["dataset"], runs["method"], runs["seed"], strict=True))
    if {run for run in listed if run[1] != GRAPH_CONTROL} != wanted:
        raise LgsfError(f"{tables}/runs.parquet lists other runs than this experiment: run the tables step again.")
    return runs


def read_comparisons(tables: Path) -> pd.DataFrame:
    """The table of tests that `write_tables` left (lgsf.significance)."""
    return read_parquet(tables / "comparisons.parquet")


def read_beyond(tables: Path) -> pd.DataFrame:
    """The table of sensitivity analyses that `write_tables` left (lgsf.beyond)."""
    return read_parquet(tables / "beyond.parquet")


def read_parquet(path: Path, step: str = "tables") -> pd.DataFrame:
    """A table that an earlier step left; LgsfError where it is absent."""
    if not path.is_file():
        raise LgsfError(f"{path} is missing: run the {step} step first.")
    return pd.read_parquet(path)


def write_parquet(path: Path, table: pd.DataFrame) -> None:
    """Atomic Parquet; equal tables give equal bytes."""
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    write_atomically(path, lambda file: file.write(buffer.getvalue()))


def _read(run: ExpectedRun, folder: Path) -> list[dict[str, Any]]:
    """Rows of a finished run, one per protocol; none if the run is not finished."""
    if not (folder / "run.json").is_file() or not (folder / "test" / "ranks.npz").is_file():
        return []
    facts = read_facts(folder)
    for key, want, have in (
        ("dataset", run.dataset, facts.dataset),
        ("method", run.method, facts.method),
        ("seed", run.seed, facts.seed),
    ):
        if want != have:
            raise LgsfError(
                f"{folder / 'run.json'}: {key} is {have!r}, but the folder is that of {want!r}; move it back."
            )
    if run.is_control != (facts.kind == "control") or run.is_ensemble != (facts.kind == "ensemble"):
        raise LgsfError(f"{folder / 'run.json'}: kind is {facts.kind!r}, which does not fit the name {run.method!r}.")
    ranks = read_ranks(folder)
    twins = twin_accuracy(folder)
    return [
        {
            **_identity(run, facts.kind),
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
        for protocol, scores in ranks.metrics().items()
    ]


def _absent(run: ExpectedRun, folder: Path, protocol: str) -> dict[str, Any]:
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
        "device": " ".join(dict.fromkeys((facts.device.type, facts.device.name))).strip(),
    }


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
