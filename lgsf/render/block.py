"""A table as plain cells: the same block becomes HTML and Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from lgsf.render.numbers import NOTHING, decimal, kind_mark, looks


@dataclass(frozen=True)
class Cell:
    """What is shown, a smaller second part, and the number to sort by where the text does not sort itself."""

    text: str
    minor: str = ""
    sort: float | None = None
    css: str = ""


@dataclass(frozen=True)
class Block:
    """A table; the first column names the row. `numeric` says which columns are numbers, `note` stands below."""

    id: str
    caption: str
    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


def value_cell(mean: float, sd: float, *, places: int = 1, sign: bool = False, css: str = "") -> Cell:
    """A mean with its SD behind it."""
    if math.isnan(mean):
        return Cell(NOTHING)
    minor = "" if math.isnan(sd) else f"± {decimal(sd, places)}"
    return Cell(decimal(mean, places, sign=sign), minor, float(mean), css)


def table_block(
    id_: str, caption: str, names: Sequence[str], numeric_from: int, rows: Sequence[Sequence[Cell]], note: str = ""
) -> Block:
    numeric = tuple(index >= numeric_from for index in range(len(names)))
    return Block(id_, caption, tuple(names), numeric, tuple(tuple(row) for row in rows), note)


def name_cell(title: str, kind: str) -> Cell:
    return Cell(title, kind_mark(kind), css="control" if kind == "control" else "")


def counted_cell(n: int, expected: int) -> Cell:
    return Cell(f"{n}/{expected}", "" if n == expected else "incomplete", float(n), "" if n == expected else "warn")


def looks_cell(mean: float) -> Cell:
    """How often a run, and the tuning behind it, looked at dev."""
    return Cell(looks(mean), sort=finite(mean))


def finite(value: float) -> float | None:
    return None if pd.isna(value) else float(value)
