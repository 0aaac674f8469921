"""The bootstrap against a slow loop's moments, complete enumeration and scipy."""

from __future__ import annotations

import itertools

import numpy as np
from scipy import stats

from lgsf.statistics import VarianceTable, bootstrap_recalls, outcomes, percentile_interval
from tests.support.examples import drawn, hand


def test_resamples_follow_the_complete_enumeration() -> None:
    # three images with 2, 1 and 3 captions: all 27 draws are listed, captions stay with their image
    run = hand([0, 3, 0], [[0, 2], [0], [4, 0, 0]])
    i2t, t2i, captions = np.array([1, 0, 1]), np.array([1, 1, 2]), np.array([2, 1, 3])
    draws = np.array(list(itertools.product(range(3), repeat=3)))
    expected_i2t = 100 * i2t[draws].sum(axis=1) / 3
    expected_t2i = 100 * t2i[draws].sum(axis=1) / captions[draws].sum(axis=1)
    got = bootstrap_recalls(outcomes({"m": [run]}), resamples=40_000, seed=3)[:, 0]
    for column, expected in ((0, expected_i2t), (3, expected_t2i)):
        values, counts = np.unique(expected.round(6), return_counts=True)
        seen, times = np.unique(got[:, column].round(6), return_counts=True)
        np.testing.assert_allclose(seen, values)
        np.testing.assert_allclose(times / 40_000, counts / 27, atol=0.01)


def test_folds_are_kept() -> None:
    # all hits are in fold 0; drawn within folds, R@1 can never leave 50 %
    run = hand([0, 0, 9, 9], [[0], [0], [9], [9]], fold=[0, 0, 1, 1])
    within = bootstrap_recalls(outcomes({"m": [run]}), resamples=200, seed=0)
    assert (within[..., 0] == 50).all()
    across = bootstrap_recalls(outcomes({"m": [hand([0, 0, 9, 9], [[0], [0], [9], [9]])]}), resamples=200, seed=0)
    assert across[..., 0].std() > 10


def test_interval_equals_scipy_on_unclustered_data() -> None:
    generator = np.random.default_rng(5)
    a, b = (drawn(generator, np.ones(300, int)) for _ in range(2))
    resampled = bootstrap_recalls(outcomes({"a": [a], "b": [b]}), resamples=20_000, seed=0)
    low, high = percentile_interval(resampled[:, 0] - resampled[:, 1])
    for column, (x, y) in ((0, (a.i2t < 1, b.i2t < 1)), (4, (a.t2i < 5, b.t2i < 5))):
        theirs = stats.bootstrap(
            (x.astype(float), y.astype(float)), lambda u, v, axis: 100 * (u.mean(axis) - v.mean(axis)),
            paired=True, vectorized=True, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1),
        ).confidence_interval  # fmt: skip
        np.testing.assert_allclose([low[column], high[column]], theirs, atol=0.35)  # 300 images: steps of 1/3


def test_spread_equals_the_closed_form_with_uneven_captions_and_folds() -> None:
    # "a" is far better than "b", and images with many captions or of a late fold are easier for it alone
    generator = np.random.default_rng(6)
    captions = generator.integers(1, 8, 400)
    ease = 0.1 + 0.1 * captions + 0.6 * (np.arange(400) // 100 == 3)
    runs = {
        "a": [drawn(generator, captions, folds=4, chance=np.minimum(ease, 0.99) / 1.5) for _ in range(2)],
        "b": [drawn(generator, captions, folds=4, chance=0.05) for _ in range(2)],
    }
    data = outcomes(runs, protocol="folds")
    resampled = bootstrap_recalls(data, resamples=8_000, seed=0)
    np.testing.assert_allclose(
        (resampled[:, 0] - resampled[:, 1]).std(axis=0), VarianceTable(data).checkpoints(0, 1).se, rtol=0.04
    )


def test_same_seed_same_resamples_whatever_the_other_systems() -> None:
    generator = np.random.default_rng(7)
    a, b = (drawn(generator, np.full(50, 5)) for _ in range(2))
    alone = bootstrap_recalls(outcomes({"a": [a]}), resamples=600, seed=4)
    together = bootstrap_recalls(outcomes({"b": [b], "a": [a]}), resamples=600, seed=4)
    np.testing.assert_array_equal(alone[:, 0], together[:, 1])
    assert (alone != bootstrap_recalls(outcomes({"a": [a]}), resamples=600, seed=5)).any()
