"""Hits per image, and recalls that equal those of the ranking."""

from __future__ import annotations

import numpy as np
import pytest

from lgsf.metrics.names import TESTED
from lgsf.metrics.recall import metrics
from lgsf.statistics import outcomes
from lgsf.system.errors import LgsfError
from tests.support.examples import drawn, hand


def test_hits_of_three_images_by_hand() -> None:
    data = outcomes({"m": [hand([0, 4, 20], [[0, 7], [0, 0, 3], [10]])]})
    assert data.hits[:, 0].tolist() == [[1, 1, 1, 1, 1, 2], [0, 1, 1, 2, 3, 3], [0, 0, 0, 0, 0, 0]]
    assert data.captions.tolist() == [2, 3, 1]
    third, sixth = 100 / 3, 100 / 6
    recalls = [third, 2 * third, 2 * third, 3 * sixth, 4 * sixth, 5 * sixth]
    np.testing.assert_allclose(data.recalls()[0], [*recalls, sum(recalls)])


@pytest.mark.parametrize("protocol", ["full", "folds"])
def test_recalls_equal_those_of_the_ranking(protocol: str) -> None:
    generator = np.random.default_rng(0)
    runs = [drawn(generator, np.array([5, 1, 3, 2] * 25), folds=4) for _ in range(3)]
    recalls = outcomes({"a": runs[:1], "b": runs[1:]}, protocol=protocol).recalls()
    for row, run in zip(recalls, runs, strict=True):
        expected = metrics(run.i2t, run.t2i) if protocol == "full" else metrics(run.i2t_fold, run.t2i_fold)
        np.testing.assert_allclose(row, [expected[name] for name in TESTED])


def test_a_system_is_the_mean_of_its_seeds() -> None:
    generator = np.random.default_rng(1)
    runs = [drawn(generator, np.full(40, 5)) for _ in range(5)]
    data = outcomes({"a": runs[:2], "b": runs[2:]})
    np.testing.assert_allclose(data.system_recalls()[1], data.recalls()[2:].mean(axis=0))
    assert data.seeds.tolist() == [2, 3]


def test_other_queries_are_refused() -> None:
    with pytest.raises(LgsfError, match="'a' and 'b' ranked different queries"):
        outcomes({"a": [hand([0], [[0]])], "b": [hand([0], [[0]], queries="others")]})


def test_a_method_without_runs_is_refused() -> None:
    with pytest.raises(LgsfError, match="'b' has no finished run"):
        outcomes({"a": [hand([0], [[0]])], "b": []})
