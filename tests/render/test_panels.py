"""The main picture puts every number at its place, beside its name, and says what is outside."""

from __future__ import annotations

import math

import pytest

from lgsf.render.panels import Panel, Row, Values, panel_plot
from lgsf.render.plots import Shape, outside

GROUPS = [("Method under test", [Row("a", "A", strong=True)]), ("Baselines", [Row("b", "B"), Row("c", "C")])]


def _at(shapes: tuple[Shape, ...], css: str) -> list[dict[str, str]]:
    return [dict(s.attributes) for s in shapes if css in s.css.split()]


def _plot(**values: Values) -> tuple[Shape, ...]:
    panel = Panel("R@1", values, reference=20.0, claimed=24.0)
    return panel_plot("p", "t", GROUPS, [panel], description="d").shapes


def test_dots_interval_reference_and_claim_share_a_scale() -> None:
    shapes = _plot(a=Values([20.0, 30.0], 25.0, 22.0, 28.0), b=Values([20.0], 20.0), c=Values([30.0], 30.0))
    x = [float(dot["cx"]) for dot in _at(shapes, "seed")]
    (reference,), (interval,), (claimed,) = (_at(shapes, css) for css in ("reference", "spread", "claimed"))
    assert x[0] == x[2] == float(reference["x1"]) and x[1] == x[3]  # 20 and 30, wherever they stand
    by_unit = (x[1] - x[0]) / 10
    assert float(interval["x2"]) - float(interval["x1"]) == pytest.approx(6 * by_unit, abs=0.11)
    assert float(claimed["cx"]) == pytest.approx(x[0] + 4 * by_unit, abs=0.11)


def test_a_row_stands_beside_its_name() -> None:
    shapes = _plot(a=Values([20.0], 20.0), b=Values([21.0], 21.0), c=Values([22.0], 22.0))
    names = {s.text: float(dict(s.attributes)["y"]) for s in shapes if "row-label" in s.css.split()}
    for name, dot in zip("ABC", _at(shapes, "seed"), strict=True):
        assert abs(names[name] - float(dot["cy"])) < 6
    assert [s.text for s in shapes if s.css == "group-label"] == ["Method under test", "Baselines"]


def test_what_is_outside_is_an_arrow_with_its_value_and_does_not_squeeze_the_rest() -> None:
    near = Values([20.0, 30.0], 25.0), Values([24.0], 24.0)
    shapes = _plot(a=near[0], b=near[1], c=Values([1.0], 1.0, mark="‡", clipped=True))
    without = _plot(a=near[0], b=near[1], c=Values([], math.nan))
    assert [dot["cx"] for dot in _at(shapes, "seed")] == [dot["cx"] for dot in _at(without, "seed")]
    (arrow,) = (shape for shape in shapes if shape.css == "outside")
    assert arrow.hint == "C: 1.0, left of the scale"
    assert "1.0‡" in [shape.text for shape in shapes]
    assert "no finished run" in [shape.text for shape in without]


@pytest.mark.parametrize(
    ("means", "keep", "found"),
    [
        ({"a": 48.6, "b": 43.8, "c": 32.3, "d": 4.9}, set(), {"d"}),
        ({"a": 48.6, "b": 43.8, "c": 32.3, "d": 4.9}, {"d"}, set()),
        ({"a": 40.0, "b": 39.0, "c": 20.0}, set(), set()),  # half of the median is 19.5
        ({"a": 40.0, "b": 1.0}, set(), set()),  # one alone would be left
        ({"a": 40.0, "b": math.nan, "c": 41.0, "d": 1.0}, set(), {"d"}),
        ({}, set(), set()),
    ],
)
def test_outside_is_below_half_of_the_median(means: dict[str, float], keep: set[str], found: set[str]) -> None:
    assert outside(means, keep=keep) == found
