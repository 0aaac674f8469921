"""The tables of an experiment on disk: read here, written here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from lgsf.config.experiment import Experiment
from lgsf.system.artefacts.parquet import read_table, write_table
from lgsf.system.errors import LgsfError
from lgsf.system.files import write_text
from lgsf.tables.collect import GRAPH_CONTROL

TESTS = "comparisons.parquet"  # lgsf.tables.tests
TABLE = "table"  # the key under which a table says which one it is


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
    """A table that an earlier step left.

    Raises LgsfError where it is absent or damaged, was not made from the tables beside it, or lacks a column of today.
    """
    if not path.is_file():
        raise LgsfError(f"{path} is missing: run the {step} step first.")
    again = f"run the {step} step again"
    table = read_table(path, hint=again)
    if table.made_from.get(TABLE, path.name) != path.name:
        raise LgsfError(f"{path} is not the table of that name but {table.made_from[TABLE]}: {again}.")
    if absent := [name for name in needs if name not in table.frame.columns]:
        raise LgsfError(f"{path} has no column {absent[0]!r}, so older code wrote it: {again}.")
    if TABLE not in table.made_from:
        raise LgsfError(f"{path} does not say what it was made from, so older code wrote it: {again}.")
    for name, seal in table.made_from.items():
        if name.endswith(".parquet") and read_table(path.with_name(name), hint=again).seal != seal:
            raise LgsfError(f"{path} was made from another {name} than lies beside it: {again}.")
    return table.frame


def seals(tables: Path, *names: str) -> dict[str, str]:
    """Name -> seal of tables, for `made_from` of what is made from them."""
    return {name: str(read_table(tables / name, hint="run the tables step again").seal) for name in names}


def write_parquet(path: Path, table: pd.DataFrame, made_from: Mapping[str, str]) -> str:
    """Atomic Parquet, and the same as CSV beside it; equal tables of equal origin give equal bytes. Returns the seal.

    made_from  seals of the tables beside it and checksums of other files that it was made from, by name
    """
    seal = write_table(path, table, {TABLE: path.name, **made_from})
    write_text(path.with_suffix(".csv"), as_csv(table))
    return seal


def as_csv(table: pd.DataFrame) -> str:
    """A table as text. It has no seal: nothing reads it, and what copies it prints it anew from the sealed one."""
    return table.to_csv(index=False)
