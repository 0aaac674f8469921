"""Curves with a legend for every line, whose points say their values to a pointer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lgsf.render.numbers import decimal
from lgsf.render.plots import (
    BOTTOM,
    TOP,
    WIDTH,
    Plot,
    Point,
    Shape,
    arrow,
    circle,
    frame,
    line,
    polyline,
    shorten,
    text,
)

COLOURS = 8  # of the page's style, k0 to k7; further curves are the same ones dashed
LINE, SAMPLE, LETTER = 15.0, 22.0, 5.7  # height of a line of the legend, its sample, a letter


@dataclass(frozen=True)
class Curve:
    """Points of one run in order; `marked` are shown as rings (epochs on the plateau).

    css  classes that decide colour and dash, from `colour` or `dash`
    """

    label: str
    points: Sequence[Point]
    marked: Sequence[Point] = field(default=())
    css: str = "k0"


def colour(index: int) -> str:
    """Classes for the curve of another method: eight colours, then the same ones dashed."""
    return f"k{index % COLOURS}" + (" dash1" if index >= COLOURS else "")


def dash(index: int) -> str:
    """Classes for the curve of another seed of one method: one colour, four dashes."""
    return "k0" + (f" dash{index % 4}" if index % 4 else "")


def curve_plot(
    id_: str,
    title: str,
    curves: Sequence[Curve],
    *,
    axes: tuple[str, str],
    domain: tuple[Point, Point],
    description: str,
    context: Sequence[Sequence[Point]] = (),
    context_label: str = "all other runs",
    switch: float | None = None,
    x_ticks: Mapping[float, str] | None = None,
    x_text: Mapping[float, str] | None = None,
    height: float = 220.0,
) -> Plot:
    """Curves before those of others in grey; every kind of line has its place in the legend below.

    domain   of x and y; a curve that is below it is drawn where it is inside, and an arrow says so
    switch   x at which hardest negatives start; drawn as a dashed line where it lies inside the domain
    x_ticks  x -> label, where round numbers of x are not what a reader wants
    x_text   x -> how a pointer is told where it is, where that is not the number itself
    """
    shapes, x, y = frame(domain, height, axes, x_ticks)
    floor = domain[1][0]
    samples: list[tuple[str, str]] = [(_called(curve, floor), f"curve {curve.css}") for curve in curves]
    if context:
        shapes.append(polyline("context", [[(x(a), y(b)) for a, b in points] for points in context]))
        samples.append((context_label, "context"))
    if switch is not None and domain[0][0] < switch < domain[0][1]:
        shapes.append(line("switch", x(switch), TOP + 12, x(switch), height - BOTTOM))
        samples.append(("hardest negatives start", "switch"))
    for curve in curves:
        inside = [(a, b) for a, b in curve.points if b >= floor]
        shapes.append(polyline(f"curve {curve.css}", [[(x(a), y(b)) for a, b in inside]]))
        if below := [(a, b) for a, b in curve.points if b < floor]:
            last, hint = below[-1], f"{curve.label}: {_value(below[-1][1])}, below the scale"
            shapes.append(arrow(f"point {curve.css}", x(last[0]), height - BOTTOM, hint, down=True))
        for a, b in inside:
            where = (x_text or {}).get(a, f"{a:g}")
            shapes.append(circle(f"point {curve.css}", x(a), y(b), 2, f"{curve.label}, {axes[0]} {where}: {_value(b)}"))
        shapes += [circle("plateau", x(a), y(b), 2.6, f"{curve.label}: on the plateau") for a, b in curve.marked]
    if any(curve.marked for curve in curves):
        samples.append(("on the collapse plateau", "plateau"))
    legend, taken = _legend(samples, height)
    return Plot(id_, title, description, height + taken, (*shapes, *legend))


def _called(curve: Curve, floor: float) -> str:
    below = sum(b < floor for _, b in curve.points)
    return curve.label + (
        ", below the scale" if below == len(curve.points) else ", partly below the scale" if below else ""
    )


def _value(value: float) -> str:
    return decimal(value) if abs(value) >= 10 else f"{value:.3g}"


def _legend(samples: Sequence[tuple[str, str]], top: float) -> tuple[list[Shape], float]:
    """A sample and a name for every kind of line, in two columns where the names are short; and its height."""
    columns = 2 if max((len(name) for name, _ in samples), default=0) * LETTER < WIDTH / 2 - SAMPLE - 8 else 1
    width = WIDTH / columns
    shapes: list[Shape] = []
    for number, (name, css) in enumerate(samples):
        left, y = width * (number % columns), top + 14 + LINE * (number // columns)
        shapes += _sample(css, left, y - 4)
        shapes.append(text("legend", left + SAMPLE + 5, y, shorten(name, int((width - SAMPLE - 8) / LETTER))))
    return shapes, 8 + LINE * -(-len(samples) // columns)


def _sample(css: str, left: float, y: float) -> Iterator[Shape]:
    if css == "plateau":
        yield circle(css, left + SAMPLE / 2, y, 2.6)
    else:
        yield polyline(css, [[(left, y), (left + SAMPLE, y)]])
