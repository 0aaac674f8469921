"""Kendall's τ_b between scores and graded human judgements, with an interval over images (cluster bootstrap).

Pairs that share an image are no independent observations, so a resample draws images with all their judged
pairs. Grades take few values: concordant minus discordant pairs are then counted between levels of grade, from
cumulated weights in the order of the scores, and a resample is a vector of weights instead of a longer list.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

BLOCK = 64  # resamples whose weights are held at once: 24 MB at 47,000 judged pairs
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """τ_b of one system with people; NaN where all scores or all grades are equal."""

    tau: float
    low: float
    high: float
    pairs: int
    images: int


def agreement(
    score: npt.NDArray[Any],
    grade: npt.NDArray[Any],
    image: npt.NDArray[Any],
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Agreement:
    """τ_b of judged pairs and its percentile interval; score, grade and image (cluster) are (n_pairs,)."""
    if not len(score):
        return Agreement(math.nan, math.nan, math.nan, 0, 0)
    _, cluster = np.unique(image, return_inverse=True)
    n_images = int(cluster.max()) + 1
    tau = _Tau(np.asarray(score), np.asarray(grade))
    whole = float(tau(np.ones((1, len(score))))[0])
    generator = np.random.default_rng(seed)
    values = []
    for start in range(0, resamples, BLOCK):
        rows = min(BLOCK, resamples - start)
        drawn = generator.multinomial(n_images, np.full(n_images, 1 / n_images), size=rows)
        values.append(tau(drawn[:, cluster].astype(np.float64)))
    low, high = (
        np.nanquantile(np.concatenate(values), [(1 - level) / 2, (1 + level) / 2])
        if not math.isnan(whole)
        else (math.nan, math.nan)
    )
    return Agreement(whole, float(low), float(high), len(score), n_images)


class _Tau:
    """τ_b of fixed scores and grades as a function of the weights of the pairs: how often each was drawn."""

    def __init__(self, score: npt.NDArray[Any], grade: npt.NDArray[Any]) -> None:
        self._order = np.argsort(score, kind="stable")
        ordered = score[self._order]
        self._ties = np.flatnonzero(np.append(True, np.diff(ordered) != 0))
        levels = np.unique(grade)
        self._levels = [np.flatnonzero(grade[self._order] == value) for value in levels]
        # For every level: where the pairs of all higher levels fall among its scores, from the left and the right.
        self._higher: list[npt.NDArray[np.int64]] = []
        self._left: list[npt.NDArray[np.int64]] = []
        self._right: list[npt.NDArray[np.int64]] = []
        for index, own in enumerate(self._levels):
            higher = np.concatenate([np.zeros(0, np.int64), *self._levels[index + 1 :]])
            self._higher.append(higher)
            self._left.append(np.searchsorted(ordered[own], ordered[higher], "left"))
            self._right.append(np.searchsorted(ordered[own], ordered[higher], "right"))

    def __call__(self, weights: Floats) -> Floats:
        """(n,) τ_b for weights (n, n_pairs): whole numbers, the length of a list with every pair so often."""
        w = weights[:, self._order]
        surplus = np.zeros(len(w))  # concordant minus discordant
        for own, higher, left, right in zip(self._levels, self._higher, self._left, self._right, strict=True):
            if not len(higher):
                continue
            below = np.concatenate([np.zeros((len(w), 1)), np.cumsum(w[:, own], axis=1)], axis=1)
            surplus += ((below[:, left] + below[:, right] - below[:, -1:]) * w[:, higher]).sum(axis=1)
        total = w.sum(axis=1)
        pairs = total * (total - 1) / 2
        groups = np.add.reduceat(w, self._ties, axis=1)
        tied_score = (groups * (groups - 1) / 2).sum(axis=1)
        sums = np.stack([w[:, own].sum(axis=1) for own in self._levels], axis=1)
        tied_grade = (sums * (sums - 1) / 2).sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            scale = np.sqrt((pairs - tied_score) * (pairs - tied_grade))
            return np.asarray(np.where(scale > 0, surplus / scale, math.nan), np.float64)
