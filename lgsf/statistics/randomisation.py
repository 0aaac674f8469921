"""Paired randomisation test per image, and exact McNemar: are these two checkpoints alike on such queries?

If it does not matter which of two systems gave an image's answers, they can be swapped (Smucker, Allan &
Carterette, CIKM 2007). One coin swaps all answers about an image: its i2t query and the t2i queries of all
its captions. Swapping changes the sign of the image's difference, so a block of resamples is a matrix of
signs times the hits.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr

from lgsf.metrics.names import TESTED
from lgsf.statistics.outcomes import Floats, Outcomes, with_rsum

BLOCK = 256
SLACK = 1e-9  # in points: a resample that ties with the observed difference counts as extreme


def signed_recalls(data: Outcomes, *, resamples: int, seed: int) -> Floats:
    """(resamples, n_systems, 7) recalls with the sign of every image's share thrown by a coin.

    The difference of two systems' rows is the difference after swapping them on the images with sign -1.
    The coins are the same for all systems, so every pair can be read off one array.
    """
    n_images = len(data.captions)
    hits = data.system_hits().reshape(n_images, -1)
    generator = np.random.default_rng(seed)
    out = np.empty((resamples, len(data.systems), len(TESTED)))
    for start in range(0, resamples, BLOCK):
        rows = min(BLOCK, resamples - start)
        bits = np.frombuffer(generator.bytes(rows * n_images), np.uint8).reshape(rows, n_images) & 1
        signs = bits.astype(np.float32) * 2 - 1
        sums = (signs @ hits).astype(np.float64).reshape(rows, -1, 6)
        out[start : start + rows] = with_rsum(100.0 * (sums / data.seeds[:, None] / data.queries))
    return out


def randomisation_p(observed: Floats, swapped: Floats) -> Floats:
    """Two-sided p (...,) of observed differences (...,) against swapped ones (resamples, ...).

    The observed assignment is one of the possible ones and is counted: (1 + extreme) / (1 + resamples).
    """
    extreme = (np.abs(swapped) >= np.abs(observed) - SLACK).sum(axis=0)
    return np.asarray((1.0 + extreme) / (1.0 + len(swapped)), np.float64)


class McNemar(NamedTuple):
    """Queries that only the first (`gained`) or only the second system (`lost`) answered, and the exact p."""

    gained: int
    lost: int
    p: float


def mcnemar(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> McNemar:
    """Exact two-sided McNemar test on paired hits (n,) bool.

    For i2t, where an image is one query. For t2i the captions of an image depend on each other and the test
    raises too many alarms; use the randomisation test there.
    """
    first, second = np.asarray(first, np.bool_), np.asarray(second, np.bool_)
    gained, lost = int((first & ~second).sum()), int((second & ~first).sum())
    p = min(1.0, 2 * float(bdtr(min(gained, lost), gained + lost, 0.5)))  # of no discordant pair: 1
    return McNemar(gained, lost, p)
