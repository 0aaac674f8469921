"""The table of tests: its figures by hand, its scopes apart, its families, its words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lgsf.metrics.names import TESTED
from lgsf.statistics import COLUMNS, finding, format_p, holm, method_tests
from lgsf.statistics.simulation import Population, SimulatedRanks
from lgsf.system.errors import LgsfError
from tests.support.examples import drawn, hand


@pytest.fixture(scope="module")
def runs() -> dict[str, list[SimulatedRanks]]:
    """Three methods with 4, 3 and 1 runs; "better" is far above "base"."""
    generator = np.random.default_rng(0)
    two = Population(images=300, seed=0.02).draw(generator, seeds=(4, 3), ability=0.5)
    return {"better": two["a"], "base": two["b"], "once": two["a"][:1]}


@pytest.fixture(scope="module")
def table(runs: dict[str, list[SimulatedRanks]]) -> pd.DataFrame:
    return method_tests(runs, "base", pairs="all", resamples=1000)


def row(table: pd.DataFrame, scope: str, method: str, other: str, metric: str) -> pd.Series:
    found = table[
        (table["scope"] == scope)
        & (table["method"] == method)
        & (table["other"] == other)
        & (table["metric"] == metric)
    ]
    assert len(found) == 1
    return found.iloc[0]


def test_every_pair_metric_and_scope_has_one_row(table: pd.DataFrame) -> None:
    assert list(table.columns) == list(COLUMNS)
    assert len(table) == 3 * len(TESTED) * 2
    assert not table.duplicated(["scope", "method", "other", "metric"]).any()


def test_differences_by_hand() -> None:
    a = hand([0, 0, 9, 9], [[0], [0], [0], [9]])
    b = hand([0, 9, 9, 9], [[0], [0], [9], [9]])
    got = row(method_tests({"a": [a], "b": [b]}, "b", resamples=500), "checkpoints", "a", "b", "t2i_r1")
    assert (got["value"], got["value_other"], got["difference"], got["relative"]) == (75, 50, 25, 50)
    assert got["effect"] == pytest.approx(0.25 / np.std([0, 0, 1, 0], ddof=1))
    # one image of four differs: every assignment of coins is as extreme
    assert got["p"] == 1


def test_mcnemar_is_for_single_checkpoints_and_i2t(table: pd.DataFrame) -> None:
    a = hand([0] * 8 + [9, 9], [[0]] * 10)
    b = hand([9] * 8 + [0, 9], [[0]] * 10)
    single = method_tests({"a": [a], "b": [b]}, "b", resamples=200)
    got = row(single, "checkpoints", "a", "b", "i2t_r1")["p_mcnemar"]
    assert got == pytest.approx(stats.binomtest(8, 9).pvalue)
    assert single.loc[single["metric"].str.startswith("t2i"), "p_mcnemar"].isna().all()
    assert table["p_mcnemar"].isna().all()


def test_a_method_beats_another_and_a_checkpoint_scores_higher(table: pd.DataFrame) -> None:
    assert row(table, "methods", "better", "base", "t2i_r1")["finding"] == "beats"
    assert row(table, "checkpoints", "better", "base", "t2i_r1")["finding"] == "scored higher than"
    assert row(table, "methods", "better", "base", "t2i_r1")["superiority"] == 1.0


def test_below_three_seeds_a_method_has_no_p(table: pd.DataFrame) -> None:
    got = table[(table["scope"] == "methods") & ((table["method"] == "once") | (table["other"] == "once"))]
    assert len(got) == 2 * len(TESTED)
    assert got[["p", "p_corrected", "low", "high", "se", "p_equivalence"]].isna().all(axis=None)
    assert (got["finding"] == "n/a").all()
    assert set(got["note"]) == {
        "needs 3 seeds of both methods, has 1 and 3",
        "needs 3 seeds of both methods, has 4 and 1",
    }
    assert got["difference"].notna().all()
    assert format_p(None) == format_p(float("nan")) == "n/a"


def test_two_seeds_are_too_few(runs: dict[str, list[SimulatedRanks]]) -> None:
    got = method_tests({"two": runs["better"][:2], "base": runs["base"]}, "base", resamples=20)
    assert got.loc[got["scope"] == "methods", "p"].isna().all()


def test_holm_over_primaries_alone(table: pd.DataFrame) -> None:
    for scope in ("checkpoints", "methods"):
        primary = table[(table["scope"] == scope) & table["primary"]]
        assert set(primary["metric"]) == {"i2t_r1", "t2i_r1"}
        assert set(primary["other"]) == {"base"}
        assert set(primary["correction"]) == {"holm"}
        np.testing.assert_allclose(primary["p_corrected"], holm(primary["p"]))
    assert set(table.loc[~table["primary"], "correction"]) == {"bh"}


def test_intervals_hold_the_difference(table: pd.DataFrame) -> None:
    tested = table[table["p"].notna()]
    assert ((tested["low"] <= tested["difference"]) & (tested["difference"] <= tested["high"])).all()
    assert ((tested["relative_low"] <= tested["relative"]) & (tested["relative"] <= tested["relative_high"])).all()


def test_relative_interval_of_methods_agrees_with_that_of_checkpoints_where_seeds_do_not_vary() -> None:
    generator = np.random.default_rng(1)
    a, b = (drawn(generator, np.full(4000, 2), chance=chance) for chance in (0.6, 0.2))
    got = method_tests({"a": [a] * 3, "b": [b] * 3}, "b", resamples=3000)
    for metric in TESTED:
        methods, fixed = (row(got, scope, "a", "b", metric) for scope in ("methods", "checkpoints"))
        width = fixed["relative_high"] - fixed["relative_low"]
        assert methods["relative_low"] == pytest.approx(fixed["relative_low"], abs=0.06 * width)
        assert methods["relative_high"] == pytest.approx(fixed["relative_high"], abs=0.06 * width)


def test_folds_use_the_ranks_inside_the_fold() -> None:
    run = hand([1, 8], [[1], [8]], fold=[0, 1])  # inside the fold: 0 and 4
    other = hand([8, 8], [[8], [8]], fold=[0, 1])
    got = method_tests({"a": [run], "b": [other]}, "b", protocol="folds", resamples=50)
    assert row(got, "checkpoints", "a", "b", "i2t_r1")["value"] == 50
    assert row(got, "checkpoints", "a", "b", "i2t_r5")["value"] == 100


def test_a_reference_at_zero_has_no_relative_difference() -> None:
    got = method_tests({"a": [hand([0, 9], [[0], [0]])], "b": [hand([99, 99], [[99], [99]])]}, "b", resamples=50)
    assert got["relative"].isna().all()
    assert row(got, "checkpoints", "a", "b", "i2t_r1")["difference"] == 50


def test_the_same_table_twice(runs: dict[str, list[SimulatedRanks]]) -> None:
    first, second = (method_tests(runs, "base", resamples=300) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


def test_an_unknown_reference_is_refused(runs: dict[str, list[SimulatedRanks]]) -> None:
    with pytest.raises(LgsfError, match="no run of the reference 'none'; there are base, better, once"):
        method_tests(runs, "none")


def test_words() -> None:
    assert finding("methods", 1.0, 0.01) == "beats"
    assert finding("methods", -1.0, 0.01) == "is beaten by"
    assert finding("checkpoints", -1.0, 0.01) == "scored lower than"
    assert finding("methods", 1.0, 0.05) == "no difference shown"
    assert finding("methods", 1.0, float("nan")) == "n/a"
    assert format_p(0.0004) == "<0.001"
    assert format_p(0.0123) == "0.012"
