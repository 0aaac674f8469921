"""Tables: sealed, made from each other, and every number follows from the ranks of a run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd

from lgsf.metrics.names import RECALLS
from lgsf.runs.ranks import read_ranks
from lgsf.runs.record import FILE
from lgsf.system.errors import LgsfError
from lgsf.system.hashes import sha256
from lgsf.tables.files import as_csv, read_parquet
from lgsf.tables.summary import summarise
from lgsf.verification.findings import Findings

AGAIN = "run the tables step again"
DIGITS = 1e-6  # points; tables as text round nothing above


def verify_tables(folder: Path, results: Path, findings: Findings) -> None:
    """LgsfError for the first table that is damaged, or number that does not follow from its run in `results`."""
    for path in sorted(folder.glob("*.parquet")):
        step = "compare" if path.stem in ("verdicts", "claims") else "tables"
        _verify_text(path.with_suffix(".csv"), read_parquet(path, step), f"follow from {path.name}: run the {step}")
        findings.holds("tables")
    if (folder / "runs.parquet").is_file():
        runs = read_parquet(folder / "runs.parquet")
        _verify_text(folder / "summary.csv", summarise(runs), "follow from runs.parquet: run the tables")
    else:
        runs = _read_csv(folder / "runs.csv")
        findings.note("tables that were kept as text, without a seal (not tied)", folder)
    for row in runs[runs["status"] == "finished"].to_dict("records"):
        _verify_row(folder, {str(key): value for key, value in row.items()}, results, findings)


def _verify_text(path: Path, table: pd.DataFrame, rest: str) -> None:
    """LgsfError where a text is not that of the sealed table; `rest` goes on behind "does not"."""
    if path.is_file() and path.read_bytes() != as_csv(table).encode():
        raise LgsfError(f"{path} does not {rest} step again.")


def _read_csv(path: Path) -> pd.DataFrame:
    try:
        runs = pd.read_csv(path)
        runs[["dataset", "method", "seed", "kind", "status", "protocol", "ranks_sha256", *RECALLS, "rsum"]]
    except Exception as error:  # pandas names damage by many exceptions
        raise LgsfError(f"{path} is not a table of runs ({error}): {AGAIN}.") from None
    return runs


def _verify_row(folder: Path, row: dict[str, Any], results: Path, findings: Findings) -> None:
    run = _run_of(folder, row, results)
    name = f"{row['dataset']}/{row['method']}/seed{row['seed']}"
    if run is None:
        if row["kind"] != "control":
            raise LgsfError(f"{folder}: the run {name} is not among the results, so its numbers cannot be followed.")
        findings.note("rows of controls whose ranks were not kept", f"{folder}: {name}")
        return
    ranks = read_ranks(run)
    if ranks.sha256 != row["ranks_sha256"]:
        raise LgsfError(f"{folder}: {name} was made from other ranks than {run}/test/ranks.npz: {AGAIN}.")
    if isinstance(row.get("run_sha256"), str) and row["run_sha256"] != sha256(run / FILE):
        raise LgsfError(f"{folder}: {name} was made from another record than {run / FILE}: {AGAIN}.")
    found = ranks.metrics()[row["protocol"]]
    for metric in (*RECALLS, "rsum"):
        if not math.isclose(found[metric], row[metric], abs_tol=DIGITS, rel_tol=0):
            raise LgsfError(
                f"{folder}: {metric} of {name} is {row[metric]} and its ranks give {found[metric]}: {AGAIN}."
            )
    findings.holds("rows of tables that follow from ranks")


def _run_of(folder: Path, row: dict[str, Any], results: Path) -> Path | None:
    """The run that a row is about: under the nearest folder above the table that holds it."""
    inside = Path(str(row["dataset"]), str(row["method"]), f"seed{row['seed']}")
    for above in folder.parents:
        for place in (above / inside, above / "runs" / inside):
            if (place / FILE).is_file() and (place / "test" / "ranks.npz").is_file():
                return place
        if above == results or not above.is_relative_to(results):
            break
    return None
