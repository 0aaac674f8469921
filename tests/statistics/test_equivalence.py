"""Equivalence and the reach of a design: by hand, by the t distribution's definition, against statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from lgsf.statistics import Error, design_needed, equivalence_words, smallest_detectable, tost


def test_tost_equals_statsmodels_on_paired_data() -> None:
    generator = np.random.default_rng(0)
    for shift in (0.0, 0.3, -0.6):
        x = generator.normal(0, 2, 80)
        y = x + generator.normal(shift, 1, 80)
        theirs, *_ = ttost_paired(x, y, -0.5, 0.5)
        ours = tost(float((x - y).mean()), float((x - y).std(ddof=1) / np.sqrt(80)), 79.0, margin=0.5)
        assert float(ours) == pytest.approx(theirs)


def test_tost_without_spread_knows_the_answer() -> None:
    assert tost(0.2, 0.0, 10.0, margin=0.5) == 0.0
    assert tost(0.7, 0.0, 10.0, margin=0.5) == 1.0


def test_smallest_detectable_difference_is_found_four_times_in_five() -> None:
    detectable = float(smallest_detectable(0.4, 1e9))
    assert detectable == pytest.approx(0.4 * (1.959964 + 0.841621), rel=1e-5)
    threshold = 0.4 * stats.norm.isf(0.025)
    assert stats.norm.sf(threshold, loc=detectable, scale=0.4) == pytest.approx(0.8, abs=1e-4)


def words(difference: float, images: float, seeds: float) -> str:
    error = Error(np.full(7, images), np.full(7, seeds), np.full(7, 1e6))
    return equivalence_words(np.full(7, difference), error, 1000)[0]


def test_words() -> None:
    assert words(0.1, 0.1**2, 0.0) == "equivalent"
    assert words(0.45, 0.2**2, 0.0) == "not shown"
    assert words(4.0, 0.6**2, 0.0) == "not equivalent"
    assert words(0.0, 1.2**2, 0.0) == "not resolvable with this design (needs about 16000 images)"
    # the seeds alone have variance 0.36, eight times the half of 0.3^2 that they may take
    assert words(0.0, 0.3**2, 0.36) == "not resolvable with this design (needs about 2000 images and 8 times the seeds)"


def test_the_named_design_resolves_the_margin() -> None:
    # 16,000 images instead of 1,000 bring a standard error of 1.2 down to 0.3, where TOST can succeed
    assert design_needed(1.2**2, 0.0, 1000, limit=0.3) == "needs about 16000 images"
    assert tost(0.0, 0.3, 1e6, margin=0.5) < 0.05
    assert tost(0.0, 0.31, 1e6, margin=0.5) > 0.05


def test_the_margin_of_rsum_is_that_of_its_six_recalls() -> None:
    error = Error(np.full(7, 1.0), np.zeros(7), np.full(7, 1e6))
    given = equivalence_words(np.zeros(7), error, 1000)
    assert given[0].startswith("not resolvable")
    assert given[6] == "equivalent"
