"""Randomisation and McNemar against complete enumeration, scipy and statsmodels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar

from lgsf.statistics import mcnemar, outcomes, randomisation_p, signed_recalls
from tests.support.examples import drawn


@pytest.mark.parametrize("seed", range(3))
def test_p_equals_all_swaps_of_ten_images(seed: int) -> None:
    generator = np.random.default_rng(seed)
    captions = generator.integers(1, 6, 10)
    data = outcomes({"a": [drawn(generator, captions, chance=0.5)], "b": [drawn(generator, captions)]})
    observed = data.system_recalls()[0] - data.system_recalls()[1]
    per_image = (data.hits[:, 0] - data.hits[:, 1]) / data.queries * 100.0
    signs = np.array(list(itertools.product((-1, 1), repeat=10)))
    swapped = np.einsum("si,im->sm", signs, per_image)
    swapped = np.concatenate([swapped, swapped.sum(axis=1, keepdims=True)], axis=1)
    exact = (np.abs(swapped) >= np.abs(observed) - 1e-9).mean(axis=0)
    drawn_swaps = signed_recalls(data, resamples=20_000, seed=1)
    np.testing.assert_allclose(randomisation_p(observed, drawn_swaps[:, 0] - drawn_swaps[:, 1]), exact, atol=0.015)


def test_p_equals_scipy_on_unclustered_data() -> None:
    generator = np.random.default_rng(1)
    a, b = (drawn(generator, np.ones(12, int), chance=chance) for chance in (0.6, 0.2))
    data = outcomes({"a": [a], "b": [b]})
    swaps = signed_recalls(data, resamples=20_000, seed=0)
    p = randomisation_p(data.system_recalls()[0] - data.system_recalls()[1], swaps[:, 0] - swaps[:, 1])
    for column, x, y in ((0, a.i2t < 1, b.i2t < 1), (3, a.t2i < 1, b.t2i < 1)):
        theirs = stats.permutation_test(
            (x.astype(float), y.astype(float)), lambda u, v, axis: (u - v).mean(axis), vectorized=True,
            permutation_type="samples", n_resamples=np.inf,
        ).pvalue  # fmt: skip
        assert p[column] == pytest.approx(theirs, abs=0.015)


def test_plus_one_correction_by_hand() -> None:
    # of four resamples two are as extreme as the observed 3: (1 + 2) / (1 + 4)
    assert randomisation_p(np.array([3.0]), np.array([[-3.0], [1.0], [2.0], [5.0]])).tolist() == [0.6]
    assert randomisation_p(np.array([9.0]), np.array([[-3.0], [1.0], [2.0], [5.0]])).tolist() == [0.2]


def test_one_coin_per_image_for_both_directions() -> None:
    # system a is right about everything and b about nothing: every swap moves i2t and t2i of an image together
    generator = np.random.default_rng(2)
    right, wrong = (drawn(generator, np.full(8, 3), chance=0.6) for _ in range(2))
    right.i2t[:], right.t2i[:], wrong.i2t[:], wrong.t2i[:] = 0, 0, 99, 99
    swaps = signed_recalls(outcomes({"a": [right], "b": [wrong]}), resamples=100, seed=0)
    difference = swaps[:, 0] - swaps[:, 1]
    np.testing.assert_allclose(difference[:, 0], difference[:, 3])


def test_mcnemar_by_hand_and_against_statsmodels() -> None:
    # 6 gained, 1 lost: two-sided binomial 2 * (1 + 7) / 2**7
    first = np.array([1, 1, 1, 1, 1, 1, 0, 1, 0], bool)
    second = np.array([0, 0, 0, 0, 0, 0, 1, 1, 0], bool)
    assert mcnemar(first, second) == (6, 1, pytest.approx(2 * 8 / 128))
    generator = np.random.default_rng(3)
    for _ in range(20):
        x, y = generator.random((2, 60)) < 0.5
        table = [[int((x & y).sum()), int((x & ~y).sum())], [int((~x & y).sum()), int((~x & ~y).sum())]]
        assert mcnemar(x, y).p == pytest.approx(their_mcnemar(table, exact=True).pvalue)


def test_mcnemar_without_any_disagreement() -> None:
    assert mcnemar(np.array([True, False]), np.array([True, False])) == (0, 0, 1.0)
