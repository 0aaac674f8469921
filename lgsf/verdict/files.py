"""Verdicts on disk, and the hand-kept tables of config/."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lgsf.tables.files import read_parquet
from lgsf.verdict.published import Published, Spread, read_published, read_spread


def read_verdicts(tables: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(verdicts, claims) as the compare step left them."""
    return read_parquet(tables / "verdicts.parquet", "compare"), read_parquet(tables / "claims.parquet", "compare")


def read_table(table: Path) -> tuple[list[Published], list[Spread]]:
    """published.csv and, from the folder it lies in, its sources and the spread over seeds; all of it checked."""
    rows = read_published(table, table.with_name(f"{table.stem}_sources.csv"))
    return rows, read_spread(table.with_name(f"{table.stem}_spread.csv"))
