"""Every line has its place in the legend, and what is below the scale is said."""

from __future__ import annotations

from lgsf.render.curves import COLOURS, Curve, colour, curve_plot, dash
from lgsf.render.plots import Plot


def _plot(*curves: Curve, **options: object) -> Plot:
    return curve_plot("p", "t", curves, axes=("step", "y"), domain=((0, 10), (50, 100)), description="", **options)  # type: ignore[arg-type]


def _legend(plot: Plot) -> list[str]:
    return [shape.text for shape in plot.shapes if shape.css == "legend"]


def test_every_kind_of_line_stands_in_the_legend_once() -> None:
    curves = [Curve(f"seed {k}", [(0, 60), (10, 90 + k)], marked=[(0, 60)], css=dash(k)) for k in range(3)]
    plot = _plot(*curves, context=[[(0, 55), (10, 70)]], switch=5.0)
    assert _legend(plot) == [
        *("seed 0", "seed 1", "seed 2", "all other runs", "hardest negatives start", "on the collapse plateau")
    ]
    lines = [shape.css for shape in plot.shapes if shape.css.startswith("curve")]
    assert sorted(lines) == sorted(2 * [f"curve {dash(k)}" for k in range(3)])  # each line, and its sample


def test_the_legend_lies_inside_the_plot_and_its_names_do_not_meet() -> None:
    plot = _plot(*(Curve(f"a method with a long name, {k}", [(0, 60), (10, 90)], css=colour(k)) for k in range(9)))
    places = [tuple(float(dict(s.attributes)[a]) for a in "xy") for s in plot.shapes if s.css == "legend"]
    assert len(set(places)) == 9
    assert max(y for _, y in places) < plot.height


def test_colours_and_dashes_tell_lines_apart() -> None:
    assert len({colour(k) for k in range(2 * COLOURS)}) == 2 * COLOURS
    assert len({dash(k) for k in range(4)}) == 4


def test_a_curve_below_the_scale_is_an_arrow_and_says_so() -> None:
    plot = _plot(
        Curve("up", [(0, 60), (10, 90)]), Curve("partly", [(0, 10), (10, 60)]), Curve("lost", [(0, 10), (10, 20)])
    )
    assert _legend(plot) == ["up", "partly, partly below the scale", "lost, below the scale"]
    arrows = [shape.hint for shape in plot.shapes if shape.tag == "path" and shape.css.startswith("point")]
    assert arrows == ["partly: 10.0, below the scale", "lost: 20.0, below the scale"]
    points = [shape for shape in plot.shapes if shape.tag == "circle"]
    assert all(float(dict(point.attributes)["cy"]) <= 220 - 36 for point in points)


def test_a_pointer_is_told_the_value() -> None:
    plot = _plot(Curve("LGSF", [(2.0, 61.25)]), x_text={2.0: "100"})
    assert [s.hint for s in plot.shapes if s.tag == "circle"] == ["LGSF, step 100: 61.2"]
