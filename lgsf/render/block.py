"""A table as plain cells, built once: a macro prints it as HTML, lgsf.render.markdown and lgsf.render.latex the rest."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from lgsf.metrics.names import DIRECTION_WORDS, METRICS, metric_label
from lgsf.render.numbers import NOTHING, decimal, kind_mark, looks

THIN = "\u202f"


@dataclass(frozen=True)
class Column:
    """The head of a column; where print has no room, columns of one `group` share a head and have `short` below it."""

    name: str
    numeric: bool
    group: str = ""
    short: str = ""


@dataclass(frozen=True)
class Cell:
    """What is shown, a smaller second part, and the number to sort by where the text does not sort itself.

    mark  † or ‡ behind the text;  css  a class of the page's style; LaTeX sets `best` in bold
    """

    text: str
    minor: str = ""
    sort: float | None = None
    css: str = ""
    mark: str = ""

    @property
    def marked(self) -> str:
        """The text with its mark."""
        return f"{self.text}{THIN}{self.mark}" if self.mark else self.text


@dataclass(frozen=True)
class Block:
    """A table; the first column names the row, `note` stands below. ValueError where a row lacks a cell."""

    kind: ClassVar[str] = "table"  # among the items of lgsf.render.flow
    id: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{self.id}: {len(row)} cells under {len(self.columns)} heads, in {row[:1]}")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


def table_block(
    id_: str, caption: str, columns: Iterable[Column], rows: Iterable[Sequence[Cell]], note: str = ""
) -> Block:
    return Block(id_, caption, tuple(columns), tuple(tuple(row) for row in rows), note)


def words(*names: str) -> tuple[Column, ...]:
    """Columns of text."""
    return tuple(Column(name, numeric=False) for name in names)


def numbers(*names: str) -> tuple[Column, ...]:
    """Columns of numbers."""
    return tuple(Column(name, numeric=True) for name in names)


def metric_columns(metrics: Iterable[str]) -> tuple[Column, ...]:
    """Columns of lgsf.metrics.names, or of twin accuracies."""
    return tuple(_metric_column(name) for name in metrics)


def _metric_column(name: str) -> Column:
    if name not in METRICS:
        return Column(metric_label(name), numeric=True)
    metric = METRICS[name]
    return Column(metric.label, True, DIRECTION_WORDS.get(metric.direction, ""), metric.measure.label)


def value_cell(mean: float, sd: float, *, places: int = 1, sign: bool = False, css: str = "", mark: str = "") -> Cell:
    """A mean with its SD behind it."""
    if math.isnan(mean):
        return Cell(NOTHING)
    minor = "" if math.isnan(sd) else f"± {decimal(sd, places)}"
    return Cell(decimal(mean, places, sign=sign), minor, float(mean), css, mark)


def name_cell(title: str, kind: str) -> Cell:
    mark = kind_mark(kind)
    return Cell(title, "" if title.endswith(f"({mark})") else mark, css="control" if kind == "control" else "")


def counted_cell(n: int, expected: int) -> Cell:
    return Cell(f"{n}/{expected}", "" if n == expected else "incomplete", float(n), "" if n == expected else "warn")


def looks_cell(mean: float) -> Cell:
    """How often a run, and the tuning behind it, looked at dev."""
    return Cell(looks(mean), sort=finite(mean))


def finite(value: float) -> float | None:
    return None if pd.isna(value) else float(value)
