"""The main picture: methods by group, and a panel of dots and intervals for each metric beside their names."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lgsf.render.numbers import decimal
from lgsf.render.plots import Plot, Scale, Shape, arrow, circle, line, padded, scale, shorten, text, tick_text, ticks

WIDTH, NAMES, GAP, VALUE = 1072.0, 246.0, 24.0, 50.0
ROW, LABEL, HEAD, FOOT = 21.0, 22.0, 26.0, 22.0
LETTERS = 40  # of a name, at the size of its letters


@dataclass(frozen=True)
class Values:
    """What one method reached in one metric: its seeds, their mean, an interval (NaN: none).

    mark  † or ‡;  clipped  left of the scale;  said  what stands for the mean, where that is not its number
    """

    seeds: Sequence[float]
    mean: float
    low: float = math.nan
    high: float = math.nan
    mark: str = ""
    clipped: bool = False
    said: str = ""


@dataclass(frozen=True)
class Panel:
    """One metric: row -> values, where the reference is, and what was claimed (None: nothing to show).

    zero  the scale begins at zero, as amounts should
    """

    title: str
    values: Mapping[str, Values]
    reference: float | None = None
    claimed: float | None = None
    zero: bool = False


@dataclass(frozen=True)
class Row:
    """One method; `strong` is the one that the page is about."""

    name: str
    title: str
    strong: bool = False


def panel_plot(
    id_: str, title: str, groups: Sequence[tuple[str, Sequence[Row]]], panels: Sequence[Panel], *, description: str
) -> Plot:
    """Names at the left, a panel per metric at their right, the mean beside each row."""
    rows = sum(len(own) for _, own in groups)
    floor = HEAD + LABEL * len(groups) + ROW * rows
    wide = (WIDTH - NAMES) / len(panels)
    shapes: list[Shape] = []
    places: dict[str, tuple[Row, float]] = {}
    y = HEAD
    for label, own in groups:
        shapes.append(text("group-label", 0, y + 15, label))
        y += LABEL
        for row in own:
            css = "row-label strong" if row.strong else "row-label"
            shapes.append(text(css, 0, y + 14, shorten(row.title, LETTERS)))
            places[row.name] = row, y + ROW / 2
            y += ROW
    for number, panel in enumerate(panels):
        left = NAMES + number * wide + GAP
        shapes += _panel(panel, places, (left, NAMES + (number + 1) * wide - VALUE), floor)
    return Plot(id_, title, description, floor + FOOT, tuple(shapes), WIDTH)


def _panel(
    panel: Panel, places: Mapping[str, tuple[Row, float]], between: tuple[float, float], floor: float
) -> list[Shape]:
    inside = [own for own in panel.values.values() if own.seeds and not own.clipped]
    shown = [v for own in inside for v in (*own.seeds, own.low, own.high) if not math.isnan(v)]
    shown += [v for v in (panel.reference, panel.claimed) if v is not None and not math.isnan(v)]
    low, high = padded([*shown, *([0.0] if panel.zero else [])] or [0.0])
    domain = (0.0 if panel.zero else low), high
    left, right = between
    x = scale(domain, (left + 12, right))
    shapes = [text("panel-title", left, 14, panel.title)]
    for value in ticks(*domain):
        shapes += [
            line("grid", x(value), HEAD, x(value), floor),
            text("tick", x(value), floor + 15, tick_text(value), "middle"),
        ]
    if panel.reference is not None and not math.isnan(panel.reference):
        shapes.append(line("reference", x(panel.reference), HEAD, x(panel.reference), floor))
    for name, own in panel.values.items():
        row, y = places[name]
        shapes += _row(row, own, y, x, left, right)
        if row.strong and panel.claimed is not None:
            shapes.append(circle("claimed", x(panel.claimed), y, 5, f"as claimed: {decimal(panel.claimed)}"))
    return shapes


def _row(row: Row, own: Values, y: float, x: Scale, left: float, right: float) -> list[Shape]:
    strong = " strong" if row.strong else ""
    if not own.seeds:
        return [text("tick", left + 12, y + 4, "no finished run")]
    value = (own.said or decimal(own.mean)) + own.mark
    shapes = [text("row-value" + strong, right + VALUE - 4, y + 4, value, "end")]
    if own.clipped:
        return [*shapes, arrow("outside" + strong, left, y, f"{row.title}: {decimal(own.mean)}, left of the scale")]
    if not math.isnan(own.low):
        shapes.append(line("spread" + strong, x(own.low), y, x(own.high), y))
    shapes += [circle("seed" + strong, x(v), y, 3.5, f"{row.title}: {decimal(v)}") for v in own.seeds]
    shapes.append(line("mean" + strong, x(own.mean), y - 7, x(own.mean), y + 7))
    return shapes
