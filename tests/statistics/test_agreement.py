"""Kendall's τ_b by weights against scipy, and the coverage of its interval over images."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from scipy.stats import kendalltau

from lgsf.statistics.agreement import _Tau, agreement


def test_hand_worked() -> None:
    # Grades 1 1 2 3, scores .1 .3 .2 .4: of the five pairs with unequal grades four agree, one (.3, .2) does not.
    found = agreement(np.array([0.1, 0.3, 0.2, 0.4]), np.array([1, 1, 2, 3]), np.arange(4), resamples=50)
    assert found.tau == pytest.approx((4 - 1) / math.sqrt(6 * 5))
    assert (found.pairs, found.images) == (4, 4)


def test_equals_scipy_with_ties_in_both() -> None:
    rng = np.random.default_rng(0)
    grade = rng.integers(0, 5, 400) / 4
    score = np.round(grade + rng.normal(size=400), 1).astype(np.float32)
    found = agreement(score, grade, np.arange(400), resamples=10)
    assert found.tau == pytest.approx(kendalltau(score, grade).statistic)


def test_a_resample_is_the_list_with_images_repeated() -> None:
    rng = np.random.default_rng(1)
    grade, score, image = rng.integers(1, 5, 90), rng.integers(0, 30, 90), rng.integers(0, 12, 90)
    drawn = rng.multinomial(12, np.full(12, 1 / 12), size=3)
    taus = _Tau(score, grade)(drawn[:, image].astype(float))
    for counts, tau in zip(drawn, taus, strict=True):
        pairs = np.repeat(np.arange(90), counts[image])
        assert tau == pytest.approx(kendalltau(score[pairs], grade[pairs]).statistic)


def test_interval_holds_the_truth_and_is_wider_when_images_matter() -> None:
    """30 pairs per image whose scores share an error: the image's; an interval over pairs would be too narrow."""
    rng = np.random.default_rng(2)
    image = np.repeat(np.arange(60), 30)
    grade = rng.integers(0, 3, len(image)).astype(float)
    reach = {}
    for shared in (0.0, 2.0):
        strength = 1 + shared * rng.normal(size=60)  # how well the system does on an image
        score = strength[image] * grade + rng.normal(size=len(image))
        found = agreement(score, grade, image, resamples=300)
        assert found.low < found.tau < found.high
        reach[shared] = found.high - found.low
        naive = agreement(score, grade, np.arange(len(image)), resamples=300)
        if shared:
            assert reach[shared] > 1.5 * (naive.high - naive.low)
    assert reach[2.0] > 2 * reach[0.0]


def test_nothing_to_compare_is_not_a_number() -> None:
    assert math.isnan(agreement(np.ones(5), np.arange(5), np.arange(5), resamples=5).tau)
    assert math.isnan(agreement(np.arange(5), np.ones(5), np.arange(5), resamples=5).low)
    assert agreement(np.zeros(0), np.zeros(0), np.zeros(0)).pairs == 0


def test_the_same_seed_gives_the_same_interval_in_reasonable_time() -> None:
    rng = np.random.default_rng(3)
    image = np.repeat(np.arange(1000), 6)
    grade = rng.choice(np.arange(3, 13) / 3, 6000)
    score = rng.normal(size=6000) + grade
    started = time.process_time()
    first = agreement(score, grade, image, resamples=200)
    assert time.process_time() - started < 5
    assert first == agreement(score, grade, image, resamples=200)
