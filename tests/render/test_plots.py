"""Plots put data where it belongs: scales and ticks by hand, shapes against the numbers they show."""

from __future__ import annotations

import re

import pytest

from lgsf.render.curves import Curve, curve_plot
from lgsf.render.plots import (
    LEFT,
    RIGHT,
    WIDTH,
    DotRow,
    Shape,
    dot_plot,
    padded,
    scale,
    shorten,
    tick_text,
    ticks,
)


def _of(shapes: tuple[Shape, ...], tag: str, css: str) -> list[dict[str, str]]:
    return [dict(s.attributes) for s in shapes if s.tag == tag and css in s.css.split()]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 100, [0, 25, 50, 75, 100]),
        (0, 8, [0, 2, 4, 6, 8]),
        (36.2, 37.9, [36.5, 37, 37.5]),
        (-0.3, 0.3, [-0.2, 0, 0.2]),
        (5, 5, [5]),
    ],
)
def test_ticks_are_round_and_inside(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


def test_tick_text() -> None:
    assert [tick_text(v) for v in (0.0, 0.05, -2.5, 1200, 2e6)] == ["0", "0.05", "−2.5", "1.2k", "2M"]


def test_scale_is_linear_and_may_turn_round() -> None:
    y = scale((10, 20), (200, 100))
    assert [y(10), y(15), y(20)] == [200, 150, 100]


def test_a_single_value_still_has_a_domain() -> None:
    low, high = padded([7.0])
    assert low < 7 < high


def test_dots_stand_in_the_order_of_their_values() -> None:
    rows = [DotRow("a", [1.0, 3.0, 2.0], 2.0, 1.0, 3.0, strong=True), DotRow("b", [5.0], 5.0, 5.0, 5.0)]
    plot = dot_plot("p", "title", rows, description="words")
    xs = [float(c["cx"]) for c in _of(plot.shapes, "circle", "seed")]
    assert xs[0] < xs[2] < xs[1] < xs[3]
    assert xs[2] - xs[0] == pytest.approx(xs[1] - xs[2], abs=0.11)  # coordinates are rounded to one decimal
    mean = _of(plot.shapes, "line", "mean")[0]
    assert float(mean["x1"]) == pytest.approx(xs[2], abs=0.05)
    assert len(_of(plot.shapes, "circle", "strong")) == 3


def test_a_row_without_runs_says_so() -> None:
    nothing = float("nan")
    plot = dot_plot(
        "p", "t", [DotRow("gone", [], nothing, 0.0, 0.0), DotRow("b", [5.0], 5.0, 5.0, 5.0)], description=""
    )
    assert [s.text for s in plot.shapes if s.text == "no finished run"] == ["no finished run"]
    assert "nan" not in repr(plot.shapes)


def test_differences_show_zero_and_signs() -> None:
    plot = dot_plot("p", "t", [DotRow("worse", [-2.0, -1.0], -1.5, -2.0, -1.0)], description="", zero=True)
    zero = float(_of(plot.shapes, "line", "zero")[0]["x1"])
    assert all(float(c["cx"]) < zero for c in _of(plot.shapes, "circle", "seed"))
    assert "−1.5" in [s.text for s in plot.shapes]


def test_curves_keep_inside_the_frame_and_rise_upwards() -> None:
    curve = Curve("seed 0", [(0.0, 10.0), (100.0, 50.0)], marked=[(0.0, 10.0)])
    plot = curve_plot("p", "t", [curve], axes=("step", "y"), domain=((0, 100), (0, 60)), description="", switch=40.0)
    path = _of(plot.shapes, "path", "curve")[0]["d"]  # the second one is the legend's sample
    (x1, y1), (x2, y2) = (map(float, pair) for pair in re.findall(r"([\d.]+) ([\d.]+)", path))
    assert (x1, x2) == (LEFT, WIDTH - RIGHT)
    assert y2 < y1  # up is smaller in SVG
    assert float(_of(plot.shapes, "line", "switch")[0]["x1"]) == pytest.approx(x1 + 0.4 * (x2 - x1), abs=0.05)
    assert len(_of(plot.shapes, "circle", "plateau")) == 2  # one, and the sample in the legend


@pytest.mark.parametrize("switch", [None, 0.0, 500.0])
def test_a_switch_outside_the_run_is_not_drawn(switch: float | None) -> None:
    curve = Curve("seed 0", [(0.0, 1.0), (100.0, 2.0)])
    plot = curve_plot("p", "t", [curve], axes=("x", "y"), domain=((0, 100), (0, 3)), description="", switch=switch)
    assert not _of(plot.shapes, "line", "switch")


def test_long_names_are_shortened() -> None:
    assert shorten("abc", 3) == "abc"
    assert shorten("LGSF without anything", 10) == "LGSF with…"
