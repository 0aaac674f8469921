"""Corrections by hand and against statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from lgsf.statistics import benjamini_hochberg, holm


def test_by_hand() -> None:
    p = [0.01, 0.04, 0.03]
    np.testing.assert_allclose(holm(p), [0.03, 0.06, 0.06])  # 3 x 0.01; 2 x 0.03; max(0.06, 0.04)
    np.testing.assert_allclose(benjamini_hochberg(p), [0.03, 0.04, 0.04])  # 3 x 0.01; min(0.045, 0.04); 0.04


@pytest.mark.parametrize(("ours", "name"), [(holm, "holm"), (benjamini_hochberg, "fdr_bh")])
def test_against_statsmodels(ours: object, name: str) -> None:
    generator = np.random.default_rng(0)
    for n in (1, 2, 7, 100):
        p = generator.random(n) ** 3
        p[: n // 3] = p[-1]  # ties
        np.testing.assert_allclose(ours(p), multipletests(p, method=name)[1])  # type: ignore[operator]


@pytest.mark.parametrize("correct", [holm, benjamini_hochberg])
def test_a_missing_test_is_no_member_of_the_family(correct: object) -> None:
    with_gap = correct([0.01, np.nan, 0.04])  # type: ignore[operator]
    np.testing.assert_allclose(with_gap[[0, 2]], correct([0.01, 0.04]))  # type: ignore[operator]
    assert np.isnan(with_gap[1])
    assert np.isnan(correct([np.nan])).all()  # type: ignore[operator]
