"""Corrections for many tests: Holm for the pre-registered family, Benjamini-Hochberg for the other tests."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from lgsf.statistics.outcomes import Floats


def holm(p: npt.ArrayLike) -> Floats:
    """Holm (1979) adjusted p (n,): the chance of any false alarm in the family stays below the level.

    NaN (no test was possible) stays NaN and does not count as a member of the family.
    """
    return _adjust(p, lambda sorted_p: np.maximum.accumulate(sorted_p * np.arange(len(sorted_p), 0, -1)))


def benjamini_hochberg(p: npt.ArrayLike) -> Floats:
    """Benjamini & Hochberg (1995) adjusted p (n,): bounds the share of false alarms among alarms; NaN as in holm."""

    def step_up(sorted_p: Floats) -> Floats:
        scaled = sorted_p * len(sorted_p) / np.arange(1, len(sorted_p) + 1)
        return np.asarray(np.minimum.accumulate(scaled[::-1])[::-1], np.float64)

    return _adjust(p, step_up)


def _adjust(p: npt.ArrayLike, rule: Callable[[Floats], Floats]) -> Floats:
    values = np.asarray(p, np.float64)
    tested = np.flatnonzero(~np.isnan(values))
    order = tested[np.argsort(values[tested], kind="stable")]
    out = np.full(len(values), np.nan)
    out[order] = np.minimum(rule(values[order]), 1.0)
    return out
