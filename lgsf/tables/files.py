"""The tables of an experiment on disk: read here, written here."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd

from lgsf.config.experiment import Experiment
from lgsf.system.errors import LgsfError
from lgsf.system.files import write_atomically
from lgsf.tables.collect import GRAPH_CONTROL


def read_runs(experiment: Experiment, tables: Path) -> pd.DataFrame:
    """The table of runs that `write_tables` left; LgsfError where it is absent or of another experiment."""
    runs = read_parquet(tables / "runs.parquet")
    wanted = {(run.dataset, run.method, run.seed) for run in experiment.expected() if run.method != GRAPH_CONTROL}
    listed = set(zip(runs["dataset"], runs["method"], runs["seed"], strict=True))
    if {run for run in listed if run[1] != GRAPH_CONTROL} != wanted:
        raise LgsfError(f"{tables}/runs.parquet lists other runs than this experiment: run the tables step again.")
    return runs


def read_comparisons(tables: Path) -> pd.DataFrame:
    """The table of tests that `write_tables` left (lgsf.tables.comparisons)."""
    return read_parquet(tables / "comparisons.parquet")


def read_beyond(tables: Path) -> pd.DataFrame:
    """The table of sensitivity analyses that `write_tables` left (lgsf.tables.beyond)."""
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
