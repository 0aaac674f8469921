"""A table as plain cells, built once: a macro prints it as HTML, lgsf.render.markdown and lgsf.render.latex the rest."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
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
class Group:
    """Rows that stand together under a label; those that are `fixed` keep their place when a reader sorts."""

    label: str
    rows: int
    fixed: bool = False


@dataclass(frozen=True)
class Block:
    """A table; the first column names the row, `note` stands below. ValueError where a row lacks a cell.

    groups  of all rows, in order, or none
    cards   on a narrow screen every row is a card of its own
    """

    kind: ClassVar[str] = "table"  # among the items of lgsf.render.flow
    id: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    groups: tuple[Group, ...] = ()
    cards: bool = False

    def __post_init__(self) -> None:
        if self.groups and sum(group.rows for group in self.groups) != len(self.rows):
            raise ValueError(f"{self.id}: groups of {[group.rows for group in self.groups]} for {len(self.rows)} rows")
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{self.id}: {len(row)} cells under {len(self.columns)} heads, in {row[:1]}")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def heads(self) -> tuple[tuple[str, int], ...]:
        """(shared head or "", how many columns it stands over), in order; () where no columns share one."""
        groups = [(name, len(list(own))) for name, own in itertools.groupby(self.columns, lambda c: c.group)]
        return tuple(groups) if any(name for name, _ in groups) else ()

    @property
    def parts(self) -> Iterator[tuple[Group, tuple[tuple[Cell, ...], ...]]]:
        """Each group with its rows; one without a label where there are none."""
        start = 0
        for group in self.groups or (Group("", len(self.rows)),):
            yield group, self.rows[start : start + group.rows]
            start += group.rows


def table_block(
    id_: str, caption: str, columns: Iterable[Column], rows: Iterable[Sequence[Cell]], note: str = ""
) -> Block:
    return Block(id_, caption, tuple(columns), tuple(tuple(row) for row in rows), note)


def said_once(block: Block, *names: str) -> Block:
    """The table without those of the named columns that say the same in every row; its note says it once."""
    repeated = {}
    for index, column in enumerate(block.columns):
        told = {(row[index].marked, row[index].minor) for row in block.rows if row[index].text != NOTHING}
        if column.name in names and len(block.rows) > 1 and len(told) == 1:
            repeated[index] = f"{column.name} {' '.join(part for part in told.pop() if part)}"
    if not repeated:
        return block
    kept = [index for index in range(len(block.columns)) if index not in repeated]
    note = " ".join(part for part in (block.note, f"In every row: {'; '.join(repeated.values())}.") if part)
    columns = tuple(block.columns[index] for index in kept)
    return replace(block, columns=columns, rows=tuple(tuple(row[i] for i in kept) for row in block.rows), note=note)


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
