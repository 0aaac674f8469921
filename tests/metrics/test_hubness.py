"""k-occurrence by hand and its skewness against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import skew

from lgsf.metrics.hubness import hubness, occurrences


def test_hand_worked() -> None:
    top = np.array([[0, 1, 4], [0, 2, 4], [0, 1, 4]])  # the third place is outside k = 2
    assert occurrences(top, 5, k=2).tolist() == [3, 2, 1, 0, 0]
    # Counts 3 2 1 0 0 have mean 1.2, and deviations 1.8 .8 -.2 -1.2 -1.2.
    assert hubness(top, 5, k=2) == pytest.approx({"skewness_2": (2.88 / 5) / (6.8 / 5) ** 1.5, "antihubs_2": 40.0})


def test_equals_scipy() -> None:
    rng = np.random.default_rng(0)
    top = np.stack([rng.permutation(40)[:10] for _ in range(100)])
    top[:, 0] = 7  # a hub
    found = hubness(top, 40)
    assert found["skewness_10"] == pytest.approx(skew(occurrences(top, 40)))
    assert found["skewness_10"] > 2


def test_equal_counts_have_no_skew() -> None:
    assert hubness(np.array([[0, 1], [1, 0]]), 2) == {"skewness_10": 0.0, "antihubs_10": 0.0}
