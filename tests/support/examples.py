"""Small sets of ranks for the tests of statistics: written by hand, or drawn with any number of captions per image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class HandRanks:
    """lgsf.statistics.Ranks written out."""

    i2t: npt.NDArray[np.int64]
    t2i: npt.NDArray[np.int64]
    caption_image: npt.NDArray[np.int64]
    image_fold: npt.NDArray[np.int64]
    i2t_fold: npt.NDArray[np.int64]
    t2i_fold: npt.NDArray[np.int64]
    queries: str = "the same"


def hand(
    i2t: list[int], t2i: list[list[int]], *, fold: list[int] | None = None, queries: str = "the same"
) -> HandRanks:
    """Ranks from one list per image; ranks inside the fold are taken to be half of the full ones."""
    image = np.array([row for row, ranks in enumerate(t2i) for _ in ranks])
    full_i2t, full_t2i = np.array(i2t), np.array([rank for ranks in t2i for rank in ranks])
    folds = np.array(fold or [0] * len(i2t))
    return HandRanks(full_i2t, full_t2i, image, folds, full_i2t // 2, full_t2i // 2, queries)


def drawn(
    generator: np.random.Generator, captions: npt.NDArray[np.int64], *, folds: int = 1, chance: float | Floats = 0.3
) -> HandRanks:
    """Ranks of a made-up run: geometric, easier on some images than on others; `chance` may be one per image."""
    n = len(captions)
    image = np.repeat(np.arange(n), captions)
    ease = generator.uniform(0.5, 1.5, n) * chance
    i2t, t2i = generator.geometric(ease) - 1, generator.geometric(ease[image]) - 1
    return HandRanks(i2t, t2i, image, np.arange(n) * folds // n, i2t // 2, t2i // 2)
