"""Paired bootstrap over images: intervals for fixed checkpoints (Berg-Kirkpatrick et al., EMNLP 2012).

A resample draws images with all their captions, within folds where the protocol has folds; every system sees
the same draw. The gallery stays as it was: intervals are conditional on it. A draw is a row of counts, so a
block of resamples is one matrix product with the hits instead of a loop over queries.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from lgsf.metrics.names import TESTED
from lgsf.statistics.outcomes import Floats, Outcomes, with_rsum

BLOCK = 256  # resamples per matrix product: 5 MB of counts at 5,000 images


def bootstrap_recalls(data: Outcomes, *, resamples: int, seed: int) -> Floats:
    """(resamples, n_systems, 7) recalls and rSum of every resample, percent, averaged over each system's runs."""
    n_systems = len(data.systems)
    hits = data.system_hits().reshape(len(data.captions), -1)
    captions = data.captions.astype(np.float32)[:, None]
    columns = np.concatenate([hits, captions], axis=1)  # whole numbers: exact in float32 below 2**24
    out = np.empty((resamples, n_systems, len(TESTED)))
    for start, counts in _draws(data.fold, resamples, np.random.default_rng(seed)):
        sums = (counts @ columns).astype(np.float64)
        queries = np.empty((len(sums), 1, 6))
        queries[..., :3] = len(data.captions)
        queries[..., 3:] = sums[:, -1][:, None, None]
        recalls = sums[:, :-1].reshape(-1, n_systems, 6) / data.seeds[:, None] / queries
        out[start : start + len(sums)] = with_rsum(100.0 * recalls)
    return out


def _draws(
    fold: npt.NDArray[np.int64], resamples: int, generator: np.random.Generator
) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    """(first resample, counts (block, n_images) float32): how often each image was drawn."""
    images = [np.flatnonzero(fold == f) for f in range(int(fold.max()) + 1)]
    for start in range(0, resamples, BLOCK):
        rows = min(BLOCK, resamples - start)
        counts = np.empty((rows, len(fold)), np.float32)
        for members in images:
            n = len(members)
            drawn = generator.integers(0, n, size=(rows, n)) + n * np.arange(rows)[:, None]
            counts[:, members] = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)
        yield start, counts


def percentile_interval(values: Floats, *, level: float = 0.95) -> tuple[Floats, Floats]:
    """Bounds (...,) that hold the middle `level` of resampled values (resamples, ...)."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high
