"""Small plots as plain shapes: the templates draw them as SVG whose colours follow the page's theme."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from lgsf.render.numbers import decimal

WIDTH = 340.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 12.0, 12.0, 36.0
LETTER = 6.6  # width of a letter at the labels' size, enough to keep labels apart
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
    """One line of a dot plot: the runs as dots, the mean as a tick, a bar from low to high."""

    label: str
    values: Sequence[float]
    mean: float
    low: float
    high: float
    strong: bool = False


@dataclass(frozen=True)
class Curve:
    """Points of one run in order; `marked` are shown as rings (epochs on the plateau)."""

    label: str
    points: Sequence[Point]
    marked: Sequence[Point] = field(default=())


@dataclass(frozen=True)
class Labelled:
    """A point with its name beside it."""

    label: str
    x: float
    y: float
    strong: bool = False


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


def polyline(css: str, lines: Iterable[Sequence[Point]]) -> Shape:
    """Several open lines as one element."""
    parts = ["M" + "L".join(f"{number(x)} {number(y)}" for x, y in points) for points in lines if points]
    return Shape("path", css, (("d", "".join(parts)),))


def dot_plot(id_: str, title: str, rows: Sequence[DotRow], *, description: str, zero: bool = False) -> Plot:
    """Rows of dots on one scale, names above their dots so that long ones fit a narrow screen.

    zero  values are differences: show where zero is, and signs
    """
    row_height, edge, below = 36.0, 5.0, 20.0
    height = TOP + row_height * len(rows) + below
    everything = [v for row in rows if row.values for v in (*row.values, row.low, row.high)] + ([0.0] if zero else [])
    domain = padded(everything or [0.0])
    x = scale(domain, (edge, WIDTH - edge))
    floor = height - below
    shapes: list[Shape] = []
    for value in ticks(*domain):
        shapes += [line("grid", x(value), TOP, x(value), floor)]
        shapes += [text("tick", x(value), floor + 14, tick_text(value), "middle")]
    if zero:
        shapes.append(line("zero", x(0), TOP, x(0), floor))
    for index, row in enumerate(rows):
        y = TOP + row_height * index + 26
        strong = " strong" if row.strong else ""
        shapes.append(text("row-label" + strong, edge, y - 12, shorten(row.label, 34)))
        if not row.values:
            shapes.append(text("tick", edge, y + 4, "no finished run"))
            continue
        shapes.append(text("row-value" + strong, WIDTH - edge, y - 12, decimal(row.mean, sign=zero), "end"))
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


def curve_plot(
    id_: str,
    title: str,
    curves: Sequence[Curve],
    *,
    axes: tuple[str, str],
    domain: tuple[Point, Point],
    description: str,
    context: Sequence[Sequence[Point]] = (),
    switch: float | None = None,
    x_ticks: Mapping[float, str] | None = None,
    height: float = 220.0,
) -> Plot:
    """Curves of one method in the accent colour before those of all others in grey.

    switch   x at which hardest negatives start; drawn as a dashed line where it lies inside the domain
    x_ticks  x -> label, where round numbers of x are not what a reader wants
    """
    shapes, x, y = frame(domain, height, axes, x_ticks)
    if context:
        shapes.append(polyline("context", [[(x(a), y(b)) for a, b in points] for points in context]))
    if switch is not None and domain[0][0] < switch < domain[0][1]:
        shapes.append(line("switch", x(switch), TOP + 12, x(switch), height - BOTTOM))
    for curve in curves:
        shapes.append(polyline("curve", [[(x(a), y(b)) for a, b in curve.points]]))
        shapes += [circle("plateau", x(a), y(b), 2.6, f"{curve.label}: on the plateau") for a, b in curve.marked]
    return Plot(id_, title, description, height, tuple(shapes))


def scatter_plot(
    id_: str, title: str, points: Sequence[Labelled], *, axes: tuple[str, str], description: str, height: float = 260.0
) -> Plot:
    """Named points; names are put where they cover neither each other nor a point."""
    x_domain = (0.0, max((p.x for p in points), default=1.0) * 1.08 or 1.0)
    y_domain = padded([p.y for p in points] or [0.0], share=0.1)
    shapes, x, y = frame((x_domain, y_domain), height, axes)
    placed = [(x(p.x) - 5, y(p.y) - 5, x(p.x) + 5, y(p.y) + 5) for p in points]
    for point in sorted(points, key=lambda p: (not p.strong, -p.y, p.label)):
        strong = " strong" if point.strong else ""
        label = shorten(point.label, 24)
        at, baseline, anchor, box = _free_place(x(point.x), y(point.y), len(label) * LETTER, placed, height)
        placed.append(box)
        shapes.append(circle("dot" + strong, x(point.x), y(point.y), 4.5, point.label))
        shapes.append(text("point-label" + strong, at, baseline, label, anchor))
    return Plot(id_, title, description, height, tuple(shapes))


Box = tuple[float, float, float, float]


def _free_place(x: float, y: float, width: float, taken: Sequence[Box], height: float) -> tuple[float, float, str, Box]:
    """Position, baseline and anchor of a label near (x, y) that overlaps least with what is there, and its box."""
    best: tuple[float, tuple[float, float, str, Box]] | None = None
    for dy in (4.0, -8.0, 16.0, -20.0, 28.0, -32.0, 40.0):
        for at, anchor, left in (
            (x + 8, "start", x + 8),
            (x - 8, "end", x - 8 - width),
            (x, "middle", x - width / 2),
        ):
            box = (left, y + dy - 9, left + width, y + dy + 3)
            beside = max(0, LEFT - box[0]) + max(0, box[2] - WIDTH)
            outside = beside + max(0, TOP - box[1]) + max(0, box[3] - height + BOTTOM)
            cost = 100 * outside + sum(_overlap(box, other) for other in taken) + 0.01 * abs(dy - 4)
            if best is None or cost < best[0]:
                best = (cost, (at, y + dy, anchor, box))
    assert best is not None
    return best[1]


def _overlap(a: Box, b: Box) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
