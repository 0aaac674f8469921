"""The tables of an experiment on disk: read here, written here."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lgsf.config.experiment import Experiment
from lgsf.system.errors import LgsfError
from lgsf.system.files import write_atomically
from lgsf.tables.collect import GRAPH_CONTROL

TESTS = "comparisons.parquet"  # lgsf.tables.tests


def read_runs(experiment: Experiment, tables: Path) -> pd.DataFrame:
    """The table of runs that `write_tables` left; LgsfError where it is absent or of another experiment."""
    runs = read_parquet(tables / "runs.parquet")
    wanted = {(run.dataset, run.method, run.seed) for run in experiment.expected() if run.method != GRAPH_CONTROL}
    listed = set(zip(runs["dataset"], runs["method"], runs["seed"], strict=True))
    if {run for run in listed if run[1] != GRAPH_CONTROL} != wanted:
        raise LgsfError(f"{tables}/runs.parquet lists other runs than this experiment: run the tables step again.")
    return runs


def read_tests(tables: Path) -> pd.DataFrame:
    """The table of tests that `write_tables` left (lgsf.tables.tests)."""
    return read_parquet(tables / TESTS, needs=("scope", "protocol"))


def read_beyond(tables: Path) -> pd.DataFrame:
    """The table of sensitivity analyses that `write_tables` left (lgsf.tables.beyond)."""
    return read_parquet(tables / "beyond.parquet")


def read_parquet(path: Path, step: str = "tables", *, needs: Sequence[str] = ()) -> pd.DataFrame:
    """A table that an earlier step left; LgsfError where it is absent, or lacks a column of today."""
    if not path.is_file():
        raise LgsfError(f"{path} is missing: run the {step} step first.")
    table = pd.read_parquet(path)
    if absent := [name for name in needs if name not in table.columns]:
        raise LgsfError(f"{path} has no column {absent[0]!r}, so older code wrote it: run the {step} step again.")
    return table


def write_parquet(path: Path, table: pd.DataFrame) -> None:
    """Atomic Parquet; equal tables give equal bytes."""
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    write_atomically(path, lambda file: file.write(buffer.getvalue()))
