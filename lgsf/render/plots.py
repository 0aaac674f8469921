"""Small plots as plain shapes: the templates draw them as SVG whose colours follow the page's theme."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from lgsf.render.numbers import decimal

WIDTH = 340.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 12.0, 12.0, 36.0
Point = tuple[float, float]
Scale = Callable[[float], float]
Tag = Literal["circle", "line", "path", "rect", "text"]


@dataclass(frozen=True)
class Shape:
    """One SVG element; `css` says what it is (an axis, a seed, a mean), never how it is coloured."""

    tag: Tag
    css: str
    attributes: tuple[tuple[str, str], ...]
    text: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Plot:
    """A drawing of its own with everything a reader without eyes needs: title and description."""

    id: str
    title: str
    description: str
    height: float
    shapes: tuple[Shape, ...]
    width: float = WIDTH


@dataclass(frozen=True)
class DotRow:
    """One line of a dot plot: the runs as dots, the mean as a tick, a bar from low to high; `mark` is † or ‡."""

    label: str
    values: Sequence[float]
    mean: float
    low: float
    high: float
    strong: bool = False
    mark: str = ""


def number(value: float) -> str:
    """A coordinate: one decimal, without a useless zero."""
    text = f"{value:.1f}"
    return text.removesuffix(".0") if text != "-0.0" else "0"


def ticks(low: float, high: float, *, about: int = 4) -> list[float]:
    """Round numbers (1, 2, 2.5 or 5 times a power of ten) inside [low, high], roughly `about` of them."""
    if not high > low:
        return [low]
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(k * step, 10) for k in range(first, last + 1)]


def tick_text(value: float) -> str:
    """`1200` -> `1.2k`, `2000000` -> `2M`, `0.05` -> `0.05`."""
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:g}{unit}".replace("-", "−")
    return f"{value:g}".replace("-", "−")


def padded(values: Iterable[float], *, share: float = 0.06, least: float = 0.5) -> Point:
    """(low, high) around the values with some air on both sides; a single value gets `least`."""
    found = list(values)
    low, high = min(found), max(found)
    air = max((high - low) * share, least if high == low else 0)
    return low - air, high + air


def scale(domain: Point, pixels: Point) -> Scale:
    """Linear map from data to pixels."""
    (low, high), (start, stop) = domain, pixels
    span = (high - low) or 1.0
    return lambda value: start + (value - low) / span * (stop - start)


def text(css: str, x: float, y: float, content: str, anchor: str = "start") -> Shape:
    """A label; `css` decides size and colour."""
    return Shape("text", css, (("x", number(x)), ("y", number(y)), ("text-anchor", anchor)), text=content)


def line(css: str, x1: float, y1: float, x2: float, y2: float) -> Shape:
    """A straight line."""
    return Shape(
        "line", css, tuple((k, number(v)) for k, v in zip(("x1", "y1", "x2", "y2"), (x1, y1, x2, y2), strict=True))
    )


def circle(css: str, x: float, y: float, radius: float, hint: str = "") -> Shape:
    """A dot; `hint` appears when a pointer rests on it."""
    return Shape("circle", css, (("cx", number(x)), ("cy", number(y)), ("r", number(radius))), hint=hint)


def arrow(css: str, x: float, y: float, hint: str, *, down: bool = False) -> Shape:
    """A head that points to the left, or down, at something outside the scale."""
    tip = ((x, y), (x + 9, y - 5), (x + 9, y + 5)) if not down else ((x, y), (x - 5, y - 9), (x + 5, y - 9))
    path = "M" + "L".join(f"{number(a)} {number(b)}" for a, b in tip) + "Z"
    return Shape("path", css, (("d", path),), hint=hint)


def polyline(css: str, lines: Iterable[Sequence[Point]]) -> Shape:
    """Several open lines as one element."""
    parts = ["M" + "L".join(f"{number(x)} {number(y)}" for x, y in points) for points in lines if points]
    return Shape("path", css, (("d", "".join(parts)),))


def outside(means: Mapping[str, float], *, keep: Collection[str] = ()) -> set[str]:
    """Rows whose mean is below half of the median: on one scale with them, the others could not be told apart.

    A collapsed training has such a mean. `keep` are rows that are always shown in full; a mean that is not a number
    is left out of the median. No row is outside where that leaves fewer than two inside.
    """
    known = {name: mean for name, mean in means.items() if not math.isnan(mean)}
    if not known:
        return set()
    limit = median(known.values()) / 2
    found = {name for name, mean in known.items() if mean < limit and name not in keep}
    return found if len(known) - len(found) > 1 else set()


def dot_plot(
    id_: str,
    title: str,
    rows: Sequence[DotRow],
    *,
    description: str,
    zero: bool = False,
    mark: float | None = None,
    clipped: Collection[str] = (),
) -> Plot:
    """Rows of dots on one scale, names above their dots so that long ones fit a narrow screen.

    zero     values are differences: show where zero is, and signs
    mark     where the reference is; drawn as a dashed line
    clipped  labels of rows that are left of the scale: an arrow stands for their dots
    """
    row_height, edge, below = 36.0, 5.0, 20.0
    height = TOP + row_height * len(rows) + below
    inside = [row for row in rows if row.values and row.label not in clipped]
    everything = [v for row in inside for v in (*row.values, row.low, row.high)]
    domain = padded([*everything, *([0.0] if zero else []), *([] if mark is None else [mark])] or [0.0])
    x = scale(domain, (edge, WIDTH - edge))
    floor = height - below
    shapes: list[Shape] = []
    for value in ticks(*domain):
        shapes += [line("grid", x(value), TOP, x(value), floor)]
        shapes += [text("tick", x(value), floor + 14, tick_text(value), "middle")]
    if zero:
        shapes.append(line("zero", x(0), TOP, x(0), floor))
    if mark is not None:
        shapes.append(line("reference", x(mark), TOP, x(mark), floor))
    for index, row in enumerate(rows):
        y = TOP + row_height * index + 26
        strong = " strong" if row.strong else ""
        shapes.append(text("row-label" + strong, edge, y - 12, shorten(row.label, 34)))
        if not row.values:
            shapes.append(text("tick", edge, y + 4, "no finished run"))
            continue
        shapes.append(text("row-value" + strong, WIDTH - edge, y - 12, decimal(row.mean, sign=zero) + row.mark, "end"))
        if row.label in clipped:
            shapes.append(
                arrow("outside" + strong, edge, y, f"{row.label}: {decimal(row.mean, sign=zero)}, left of the scale")
            )
            continue
        shapes.append(line("spread" + strong, x(row.low), y, x(row.high), y))
        shapes += [circle("seed" + strong, x(v), y, 3.5, f"{row.label}: {decimal(v, sign=zero)}") for v in row.values]
        shapes.append(line("mean" + strong, x(row.mean), y - 7, x(row.mean), y + 7))
    return Plot(id_, title, description, height, tuple(shapes))


def shorten(label: str, letters: int) -> str:
    """A label that fits; the full name stands in the table."""
    return label if len(label) <= letters else label[: letters - 1].rstrip() + "…"


def frame(
    domain: tuple[Point, Point], height: float, axes: tuple[str, str], x_ticks: Mapping[float, str] | None = None
) -> tuple[list[Shape], Scale, Scale]:
    """Grid, ticks and axis names for (x domain, y domain); returns the shapes and both scales."""
    x_domain, y_domain = domain
    x = scale(x_domain, (LEFT, WIDTH - RIGHT))
    y = scale(y_domain, (height - BOTTOM, TOP + 12))
    floor = height - BOTTOM
    shapes: list[Shape] = []
    for value in ticks(*y_domain):
        shapes.append(line("grid", LEFT, y(value), WIDTH - RIGHT, y(value)))
        shapes.append(text("tick", LEFT - 6, y(value) + 4, tick_text(value), "end"))
    for value, label in (x_ticks or {v: tick_text(v) for v in ticks(*x_domain)}).items():
        shapes.append(line("tick-mark", x(value), floor, x(value), floor + 4))
        shapes.append(text("tick", x(value), floor + 16, label, "middle"))
    shapes.append(line("axis", LEFT, floor, WIDTH - RIGHT, floor))
    shapes.append(text("axis-label", (LEFT + WIDTH - RIGHT) / 2, height - 4, axes[0], "middle"))
    if axes[1]:
        shapes.append(text("axis-label", 0, 10, axes[1]))
    return shapes, x, y
