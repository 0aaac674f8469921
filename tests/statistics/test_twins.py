"""Tests of twin accuracies: by hand, against textbook tests, and calibrated on drawn answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from lgsf.statistics.twins import CHANCE, TWIN_COLUMNS, twin_tests
from lgsf.system.errors import LgsfError


@dataclass(frozen=True)
class Drawn:
    """Answers that nobody gave."""

    kind: npt.NDArray[np.str_]
    pair: npt.NDArray[np.int64]
    right: npt.NDArray[np.bool_]


def drawn(
    generator: np.random.Generator, level: float, *, pairs: int = 200, seed: float = 0.2, n: int = 5
) -> list[Drawn]:
    """Runs whose questions about a pair depend on each other, and whose level varies from seed to seed."""
    pair = np.repeat(np.arange(pairs), 6)
    runs = []
    for _ in range(n):
        quality = level + seed * generator.standard_normal() + 0.7 * generator.standard_normal(pairs)[pair]
        runs.append(Drawn(np.full(len(pair), "relation"), pair, quality + generator.standard_normal(len(pair)) > 0))
    return runs


def test_one_question_per_pair_against_chance_is_the_t_test_over_seeds() -> None:
    """Every run is right about all or about none, so that pairs add nothing and only seeds vary."""
    kind, pair = np.full(40, "relation"), np.arange(40)
    shares = [1.0, 1.0, 0.0, 1.0]
    runs = {"a": [Drawn(kind, pair, np.full(40, bool(share))) for share in shares]}
    row = twin_tests(runs, "a").set_index("other").loc[CHANCE]
    theirs = stats.ttest_1samp([100 * share for share in shares], 50.0)
    assert row["value"] == 75.0
    assert row["df"] == 3
    assert row["p"] == pytest.approx(theirs.pvalue)
    assert (row["questions"], row["pairs"], row["seeds_other"], row["divisions"]) == (40, 40, 0, 0)


def test_a_true_effect_is_found_and_is_named() -> None:
    generator = np.random.default_rng(0)
    runs = {"graph": drawn(generator, 1.0), "self": drawn(generator, 0.0)}
    table = twin_tests(runs, "self")
    assert list(table.columns) == list(TWIN_COLUMNS)
    rows = table.set_index(["method", "other"])
    found = rows.loc[("graph", "self")]
    assert found["finding"] == "beats"
    assert found["low"] < found["difference"] < found["high"]
    assert found["difference"] == pytest.approx(found["value"] - found["value_other"])
    assert rows.loc[("graph", CHANCE), "finding"] == "beats"
    assert rows.loc[("self", CHANCE), "finding"] == "no difference shown"


def test_equal_methods_raise_no_more_alarms_than_the_level_allows() -> None:
    generator = np.random.default_rng(1)
    p = []
    for _ in range(200):
        runs = {"a": drawn(generator, 0.0, pairs=60, n=3), "b": drawn(generator, 0.0, pairs=60, n=3)}
        p.append(float(twin_tests(runs, "b").set_index(["method", "other"]).loc[("a", "b"), "p"]))
    assert np.mean(np.array(p) < 0.05) <= 0.08


@pytest.mark.parametrize(("sizes", "divisions"), [((3, 3), 10), ((5, 5), 126), ((3, 4), 35)])
def test_every_division_is_counted_once(sizes: tuple[int, int], divisions: int) -> None:
    generator = np.random.default_rng(2)
    runs = {name: drawn(generator, 0.0, pairs=20, n=n) for name, n in zip("ab", sizes, strict=True)}
    row = twin_tests(runs, "b").set_index(["method", "other"]).loc[("a", "b")]
    assert row["divisions"] == divisions
    assert 0 <= row["alarms"] <= divisions


def test_holm_goes_over_the_methods_of_one_comparison() -> None:
    generator = np.random.default_rng(3)
    runs = {name: drawn(generator, level) for name, level in (("a", 0.15), ("b", 0.1), ("c", 0.0))}
    own = twin_tests(runs, "c").query("other == 'c'").sort_values("p")
    assert own["p_corrected"].tolist() == pytest.approx(
        [min(1, 2 * own["p"].iloc[0]), max(min(1, 2 * own["p"].iloc[0]), own["p"].iloc[1])]
    )


def test_two_seeds_are_no_test() -> None:
    generator = np.random.default_rng(4)
    table = twin_tests({"a": drawn(generator, 1.0, n=2), "b": drawn(generator, 0.0)}, "b").set_index(
        ["method", "other"]
    )
    row = table.loc[("a", "b")]
    assert np.isnan(row["p"])
    assert row["finding"] == "n/a"


def test_other_questions_are_refused() -> None:
    generator = np.random.default_rng(5)
    with pytest.raises(LgsfError, match="different questions about twins"):
        twin_tests({"a": drawn(generator, 0.0), "b": drawn(generator, 0.0, pairs=10)}, "b")
    with pytest.raises(LgsfError, match="no run of the reference 'c'; there are a"):
        twin_tests({"a": drawn(generator, 0.0)}, "c")
