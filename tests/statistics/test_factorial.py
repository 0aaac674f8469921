"""Effects of a factorial: planted ones come back by hand, equal to regression, and no more alarms than promised."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from lgsf.statistics import (
    EFFECT_COLUMNS,
    VarianceTable,
    benjamini_hochberg,
    combinations,
    effect_weights,
    factorial_effects,
    holm,
    missing_cells,
    outcomes,
)
from lgsf.statistics.simulation import Population, SimulatedRanks
from lgsf.system.errors import LgsfError
from tests.support.examples import HandRanks, hand

FACTORS = ("gat", "interaction", "triangle")
CELLS: dict[str, tuple[str, ...]] = {"_".join(on) or "base": on for on in combinations(FACTORS, least=0)}


def share(percent: int, n: int = 100) -> HandRanks:
    """A run that finds `percent` of `n` images at once and the same share of captions, one each."""
    right = [0] * (percent * n // 100)
    ranks = right + [99] * (n - len(right))
    return hand(ranks, [[rank] for rank in ranks])


def planted(seeds: int = 3) -> dict[str, list[HandRanks]]:
    """R@1 = 40 + 10 gat + 4 interaction + 6 gat x interaction (levels 0 and 1), -2, 0 or +2 by seed."""
    runs = {}
    for name, on in CELLS.items():
        gat, interaction = "gat" in on, "interaction" in on
        value = 40 + 10 * gat + 4 * interaction + 6 * gat * interaction
        runs[name] = [share(value + 2 * (seed - 1)) for seed in range(seeds)]
    return runs


def effects(table: pd.DataFrame, metric: str, column: str = "estimate") -> dict[str, float]:
    rows = table[table["metric"] == metric]
    return dict(zip(rows["effect"], rows[column], strict=True))


def drawn(
    ability: dict[str, float], *, seeds: int = 3, repetition: int = 0, images: int = 200
) -> dict[str, list[SimulatedRanks]]:
    """Simulated runs in which each part that is on adds its ability."""
    generator = np.random.default_rng([5, repetition])
    methods = {name: (seeds, sum(ability.get(part, 0.0) for part in on)) for name, on in CELLS.items()}
    return Population(images=images, seed=0.04).draw_methods(generator, methods)


def test_known_effects_by_hand() -> None:
    table = factorial_effects(planted(), FACTORS, CELLS)
    assert list(table.columns) == list(EFFECT_COLUMNS)
    # gat: 10 without and 16 with interaction; interaction: 4 without and 10 with gat; half their difference is 3
    expected = {"gat": 13.0, "interaction": 7.0, "triangle": 0.0, "gat:interaction": 3.0}
    expected |= {"gat:triangle": 0.0, "interaction:triangle": 0.0, "gat:interaction:triangle": 0.0}
    for metric in ("i2t_r1", "t2i_r1"):
        assert effects(table, metric) == pytest.approx(expected, abs=1e-9)
    # every hit is a hit at 1, 5 and 10 in both directions
    assert effects(table, "rsum") == pytest.approx({name: 6 * value for name, value in expected.items()}, abs=1e-9)
    assert effects(table, "i2t_r1", "order")["gat:interaction:triangle"] == 3


def test_weights_of_the_cells() -> None:
    weights = effect_weights(("gat", "triangle"), CELLS)
    assert weights == {
        **{"base": 0.25, "gat": -0.25, "interaction": 0.25, "triangle": -0.25},
        **{"gat_interaction": -0.25, "gat_triangle": 0.25, "interaction_triangle": -0.25},
        "gat_interaction_triangle": 0.25,
    }


def test_the_error_by_hand() -> None:
    """Runs of a cell are right about everything or nothing: no image variance within, seeds alone count."""
    right, wrong = share(100), share(0)
    runs: dict[str, list[HandRanks]] = {name: [wrong, wrong, right] for name in CELLS}
    row = factorial_effects(runs, FACTORS, CELLS).iloc[0]
    # between runs: variance of (0, 0, 100) is 3333; each of 8 cells adds 1/16 x 3333 / 3
    assert row["estimate"] == 0
    assert row["se"] == pytest.approx((8 / 16 * (100**2 / 3) / 3) ** 0.5)
    assert row["df"] == 16  # Welch-Satterthwaite over eight equal variances of two degrees each
    assert row["high"] == pytest.approx(row["se"] * 2.119905)  # t of 16 degrees
    assert row["p"] == 1


def test_image_variance_is_that_of_the_contrast_over_images() -> None:
    """Runs that do not vary by seed: a paired t test of each image's own contrast."""
    runs = {name: group * 3 for name, group in drawn({}, seeds=1).items()}
    table = factorial_effects(runs, FACTORS, CELLS)
    weights = effect_weights(("gat",), CELLS)
    contrast = sum(weight * (runs[name][0].i2t < 1) for name, weight in weights.items())
    assert isinstance(contrast, np.ndarray)
    row = table.iloc[0]
    assert (row["effect"], row["metric"]) == ("gat", "i2t_r1")
    assert row["estimate"] == pytest.approx(100 * contrast.mean())
    assert row["se"] == pytest.approx(100 * contrast.std(ddof=1) / len(contrast) ** 0.5)


def test_two_cells_are_the_comparison_of_two_methods() -> None:
    """One factor: its effect is the difference, with the same error."""
    runs = Population(images=150, seed=0.05).draw(np.random.default_rng(1), seeds=(4, 3), ability=0.2)
    error = VarianceTable(outcomes(runs)).methods(0, 1)
    row = factorial_effects(runs, ["part"], {"a": ["part"], "b": []}).iloc[1]
    assert row["metric"] == "t2i_r1"
    assert (row["se"], row["df"]) == (pytest.approx(error.se[3]), error.df[3])


def test_estimates_equal_regression_on_seed_means() -> None:
    runs = drawn({"gat": 0.3, "triangle": -0.1})
    table = factorial_effects(runs, FACTORS, CELLS)
    means = pd.DataFrame(
        {
            **{factor: 1 if factor in on else -1 for factor in FACTORS},
            "i2t_r1": np.mean([100 * (run.i2t < 1).mean() for run in runs[name]]),
            "t2i_r1": np.mean([100 * (run.t2i < 1).mean() for run in runs[name]]),
        }
        for name, on in CELLS.items()
    )
    for metric in ("i2t_r1", "t2i_r1"):
        fit = smf.ols(f"{metric} ~ gat * interaction * triangle", means).fit()
        theirs = {name: 2 * value for name, value in fit.params.items() if name != "Intercept"}
        assert effects(table, metric) == pytest.approx(theirs, abs=1e-9)


def test_a_real_effect_is_found_and_named() -> None:
    table = factorial_effects(drawn({"gat": 0.5, "triangle": -0.5}), FACTORS, CELLS).set_index(["effect", "metric"])
    assert table.loc[("gat", "t2i_r1"), "finding"] == "raises"
    assert table.loc[("triangle", "t2i_r1"), "finding"] == "lowers"
    assert table.loc[("gat:triangle", "rsum"), "finding"] == "no effect shown"
    assert ((table["low"] <= table["estimate"]) & (table["estimate"] <= table["high"])).all()


def test_families() -> None:
    table = factorial_effects(drawn({"gat": 0.1}), FACTORS, CELLS)
    primary = table[table["primary"]]
    assert set(zip(primary["effect"], primary["metric"], strict=True)) == {
        (factor, metric) for factor in FACTORS for metric in ("i2t_r1", "t2i_r1")
    }
    np.testing.assert_allclose(primary["p_corrected"], holm(primary["p"]))
    rest = table[~table["primary"]]
    assert len(rest) == 7 * 3 - 6
    np.testing.assert_allclose(rest["p_corrected"], benjamini_hochberg(rest["p"]))
    assert (set(primary["correction"]), set(rest["correction"])) == ({"holm"}, {"bh"})


def test_below_three_seeds_of_any_cell_there_is_no_test() -> None:
    runs = planted()
    del runs["gat_triangle"][0]
    table = factorial_effects(runs, FACTORS, CELLS)
    assert table[["p", "p_corrected", "low", "high", "se", "df"]].isna().all(axis=None)
    assert set(table["note"]) == {"needs 3 seeds of every cell, gat_triangle has 2"}
    assert set(table["finding"]) == set(table["equivalence"]) == {"n/a"}
    assert table["estimate"].notna().all()


def test_missing_cells() -> None:
    some = {name: on for name, on in CELLS.items() if name not in ("base", "gat_triangle")}
    assert missing_cells(FACTORS, some) == [(), ("gat", "triangle")]
    assert not missing_cells(FACTORS, CELLS)
    with pytest.raises(LgsfError, match=r"lacks the cells every part off, gat \+ triangle"):
        factorial_effects(planted(), FACTORS, some)


def test_doubled_unknown_and_empty_cells_are_refused() -> None:
    runs = planted()
    with pytest.raises(LgsfError, match="9 cells for 8 combinations"):
        factorial_effects(runs | {"again": runs["gat"]}, FACTORS, CELLS | {"again": ("gat",)})
    with pytest.raises(LgsfError, match="no factor 'gta'"):
        factorial_effects(runs, FACTORS, CELLS | {"gat": ("gta",)})
    with pytest.raises(LgsfError, match="'gat' has no finished run"):
        factorial_effects(runs | {"gat": []}, FACTORS, CELLS)


def test_folds_use_the_ranks_inside_the_fold() -> None:
    cells = {"on": ["part"], "off": []}
    runs = {"on": [hand([1, 8], [[1], [8]], fold=[0, 1])], "off": [hand([8, 8], [[8], [8]], fold=[0, 1])]}
    assert factorial_effects(runs, ["part"], cells, protocol="folds").iloc[0]["estimate"] == 50
    assert factorial_effects(runs, ["part"], cells).iloc[0]["estimate"] == 0


def test_false_alarms_stay_near_the_level() -> None:
    """No part does anything: 240 main effects per direction at 5 %; more in benchmarks/significance.py."""
    alarms = []
    for repetition in range(80):
        table = factorial_effects(drawn({}, repetition=repetition, images=60), FACTORS, CELLS)
        alarms.append(table.loc[table["primary"], "p"].to_numpy() < 0.05)
    rate = 100 * np.mean(alarms)
    assert 1 <= rate <= 8
