"""Standard errors in closed form: image clusters alone, and image clusters together with training seeds.

For fixed checkpoints only the queries vary: the variance of a difference comes from the images' shares in it
(linearised, so that images may have any number of captions; within folds where there are folds). For methods
the training seed varies too. Between the runs of a method the recall varies by the seed itself and by what
the seed does to single images; the second part is already in the image variance of the mean over runs, so it
is estimated (two-way layout, runs x images) and not counted twice. Degrees of freedom: Welch-Satterthwaite,
with the seed parts as they were measured, before the subtraction, and rounded down: with 3 runs against 10
the unrounded ones raise up to 7 % false alarms at nominal 5 %.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit  # all of scipy.stats takes half a second to import

from lgsf.metrics.names import TESTED
from lgsf.statistics.outcomes import Floats, Outcomes, with_rsum

Weight = float | Floats


@dataclass(frozen=True)
class Error:
    """The error of one comparison or contrast, per metric (7,), in points (or percent for a relative difference).

    images  variance that more images would lower
    seeds   variance that only more seeds would lower; zero for fixed checkpoints
    df      degrees of freedom for a t distribution
    """

    images: Floats
    seeds: Floats
    df: Floats

    @property
    def se(self) -> Floats:
        """(7,) standard error."""
        return np.asarray(np.sqrt(self.images + self.seeds), np.float64)

    def p(self, difference: Floats) -> Floats:
        """(7,) two-sided p of differences; 1 where there is neither a difference nor an error."""
        ratio = np.divide(np.abs(difference), self.se, out=np.full(len(TESTED), np.inf), where=self.se > 0)
        return np.where((self.se == 0) & (difference == 0), 1.0, 2 * stdtr(self.df, -ratio))

    def half_width(self, level: float = 0.95) -> Floats:
        """(7,) half the width of the two-sided interval."""
        return np.asarray(-stdtrit(self.df, (1 - level) / 2) * self.se, np.float64)


class VarianceTable:
    """All variances that sums and differences of systems need, computed once: (n_systems, n_systems, 7) and smaller."""

    def __init__(self, data: Outcomes) -> None:
        shares = _shares(data)  # (n_images, n_runs, 7)
        mean = data.mean_over_runs(shares, axis=1)
        self._image = np.einsum("iam,ibm->abm", mean, mean, optimize=True)
        self._df_images = float(max(len(data.captions) - data.fold.max() - 1, 1))
        recalls = data.recalls()
        self._n = data.seeds.astype(np.float64)
        total = np.zeros((len(data.systems), len(TESTED)))  # variance between runs, as measured
        mixed = np.zeros_like(total)  # the part of it that is seed x image
        for system in np.flatnonzero(data.seeds > 1):
            own = data.members == system
            total[system] = recalls[own].var(axis=0, ddof=1)
            residual = shares[:, own] - mean[:, [system]]
            mixed[system] = (residual**2).sum(axis=(0, 1)) / (own.sum() - 1)
        self._total = total / self._n[:, None]
        self._pure = np.maximum(total - mixed, 0.0) / self._n[:, None]

    def checkpoints(self, a: int, b: int, weight_a: Weight = 1.0, weight_b: Weight = -1.0) -> Error:
        """Error of weight_a x system a + weight_b x system b when only the queries vary."""
        images = self._images({a: weight_a, b: weight_b})
        return Error(images, np.zeros_like(images), np.full_like(images, self._df_images))

    def methods(self, a: int, b: int, weight_a: Weight = 1.0, weight_b: Weight = -1.0) -> Error:
        """The same when seeds vary as well; both systems need two runs or more."""
        return self.contrast({a: weight_a, b: weight_b})

    def contrast(self, weights: Mapping[int, Weight]) -> Error:
        """Error of the sum of weight x system when queries and seeds vary; each system needs two runs or more."""
        images = self._images(weights)
        seeds = np.zeros_like(images)
        parts = [(images, self._df_images)]
        for system, weight in weights.items():
            seeds = seeds + weight**2 * self._pure[system]
            parts.append((np.asarray(weight**2 * self._total[system]), self._n[system] - 1))
        variance = images + seeds
        spread = np.sum([part**2 / df for part, df in parts], axis=0)
        df = np.full_like(variance, self._df_images)
        np.divide(variance**2, spread, out=df, where=spread > 0)
        return Error(images, seeds, np.clip(np.floor(df), 1.0, self._df_images))

    def _images(self, weights: Mapping[int, Weight]) -> Floats:
        """(7,) image variance of a weighted sum of systems, which all answered the same queries."""
        own = np.sum([weight**2 * self._image[k, k] for k, weight in weights.items()], axis=0)
        shared = [w * v * self._image[k, m] for (k, w), (m, v) in itertools.combinations(weights.items(), 2)]
        images = np.asarray(own + 2 * np.sum(shared, axis=0), np.float64)
        images[images < 1e-12 * own] = 0.0  # equal systems leave a difference of rounding errors
        return images


def _shares(data: Outcomes) -> Floats:
    """(n_images, n_runs, 7): each image's share in the deviation of a recall, in points.

    Squares sum to the variance of the recall; products of two runs' shares sum to their covariance.
    """
    recalls = data.recalls()[:, :6]
    queries = np.stack([np.ones_like(data.captions)] * 3 + [data.captions] * 3, axis=1)  # (n_images, 6)
    shares = (100.0 * data.hits - recalls * queries[:, None, :]) / data.queries
    for fold in range(int(data.fold.max()) + 1):
        rows = data.fold == fold
        n = int(rows.sum())
        shares[rows] = (shares[rows] - shares[rows].mean(axis=0)) * np.sqrt(n / (n - 1)) if n > 1 else 0.0
    return with_rsum(shares)
