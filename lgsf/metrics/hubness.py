"""Hubs: candidates that stand near the top for far too many queries (Radovanović et al., JMLR 2010).

The k-occurrence of a candidate is the number of queries that have it among their first k. A long tail of it, a
positive skewness, means hubs; candidates with none are anti-hubs, which nobody finds. A diagnostic, no score.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

K = 10


def occurrences(top: npt.NDArray[np.integer[Any]], n_candidates: int, *, k: int = K) -> npt.NDArray[np.int64]:
    """(n_candidates,) k-occurrence from the best candidates (n_queries, >= min(k, n_candidates)), best first."""
    counts: npt.NDArray[np.int64] = np.bincount(top[:, :k].ravel(), minlength=n_candidates)
    return counts


def hubness(top: npt.NDArray[np.integer[Any]], n_candidates: int, *, k: int = K) -> dict[str, float]:
    """Skewness of the k-occurrence (third standardised moment; 0 where all are equal) and percent of anti-hubs."""
    counts = occurrences(top, n_candidates, k=k)
    deviation = counts - counts.mean()
    variance = float((deviation**2).mean())
    skewness = float((deviation**3).mean()) / variance**1.5 if variance else 0.0
    return {f"skewness_{k}": skewness, f"antihubs_{k}": 100.0 * float((counts == 0).mean())}
