"""Ranks as counts: how many wrong candidates stand at or above the right one, block by block of a score matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lgsf.metrics.toplists import RunningTop, best_of_rows

Ints = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.floating[Any]]
STRIP = 8192  # columns that are counted together: they stay in the cache


@dataclass(frozen=True)
class Queries:
    """Which caption belongs to which image, and what is compared with what.

    caption_image  (n_captions,) int64: row of each caption's image; caption_fold, fold: of captions and images
    by_image       (n_captions,) int64: the captions in the order of their images, those of image i from starts[i] on
    one_fold       whether all stand in one fold
    """

    caption_image: npt.NDArray[np.int64]
    fold: Ints
    by_image: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]

    @classmethod
    def of(cls, caption_image: Ints, image_fold: Ints) -> Queries:
        """Raises ValueError where an image has no caption."""
        image: npt.NDArray[np.int64] = np.asarray(caption_image).astype(np.int64)
        fold = np.asarray(image_fold)
        by_image = np.argsort(image, kind="stable")
        starts = np.searchsorted(image[by_image], np.arange(len(fold) + 1))
        if (np.diff(starts) == 0).any():
            raise ValueError("an image has no caption")
        return cls(image, fold, by_image, starts)

    @property
    def caption_fold(self) -> Ints:
        return self.fold[self.caption_image]

    @property
    def one_fold(self) -> bool:
        return bool((self.fold == self.fold[0]).all())

    def columns(self, first: int, last: int) -> npt.NDArray[np.int64]:
        """The captions of the images `first` to `last` - 1, image by image."""
        return self.by_image[self.starts[first] : self.starts[last]]

    def best(self, own: Floats) -> Floats:
        """(n_images,) the best score that an image has with a caption of its own; own (n_captions,)."""
        return np.maximum.reduceat(own[self.by_image], self.starts[:-1])


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What a Counter has found; as in lgsf.metrics.ranking.Ranking."""

    i2t: npt.NDArray[np.int32]
    t2i: npt.NDArray[np.int32]
    i2t_fold: npt.NDArray[np.int32]
    t2i_fold: npt.NDArray[np.int32]
    i2t_top: npt.NDArray[np.int32]
    t2i_top: npt.NDArray[np.int32]
    i2t_top_score: Floats
    t2i_top_score: Floats
    i2t_ties: int
    t2i_ties: int


class Counter(Protocol):
    """Counts while the blocks of a score matrix go by, in order; `found` when all have."""

    def add(self, first: int, block: Any) -> None: ...

    def found(self) -> Counted: ...


class Counts:
    """The Counter of blocks in memory."""

    def __init__(self, queries: Queries, own: Floats, top: int) -> None:
        """own: (n_captions,) score of each caption with its own image; top: how many candidates are listed."""
        self._queries, self._own, self._best = queries, own, queries.best(own)
        n_images, n_captions = len(queries.fold), len(own)
        self._one_fold, self._caption_fold = queries.one_fold, queries.caption_fold
        self._i2t, self._i2t_fold = np.zeros(n_images, np.int32), np.zeros(n_images, np.int32)
        self._t2i, self._t2i_fold = np.zeros(n_captions, np.int32), np.zeros(n_captions, np.int32)
        self._i2t_tied, self._t2i_equal = np.zeros(n_images, bool), np.zeros(n_captions, np.int32)
        width = min(top, n_captions)
        self._i2t_top = np.zeros((n_images, width), np.int32), np.zeros((n_images, width), own.dtype)
        self._t2i_top = RunningTop(n_captions, min(top, n_images)) if top else None

    def add(self, first: int, block: Floats) -> None:
        """Scores (rows, n_captions) of the images from `first` on."""
        last = first + len(block)
        best, fold = self._best[first:last], self._queries.fold[first:last]
        small = np.uint8 if len(block) <= np.iinfo(np.uint8).max else np.int32
        i2t, tied = self._i2t[first:last], np.zeros(len(block), np.int32)
        for start in range(0, block.shape[1], STRIP):
            strip = slice(start, start + STRIP)
            part, own = block[:, strip], self._own[strip]
            above = part >= best[:, None]
            i2t += _by_row(above)
            tied += _by_row(part == best[:, None])
            reached = part >= own
            self._t2i[strip] += reached.sum(axis=0, dtype=small)
            self._t2i_equal[strip] += (part == own).sum(axis=0, dtype=small)
            if not self._one_fold:
                same = fold[:, None] == self._caption_fold[strip]
                self._i2t_fold[first:last] += _by_row(above & same)
                self._t2i_fold[strip] += (reached & same).sum(axis=0, dtype=small)
        self._without_own(first, block, tied)
        if self._t2i_top is not None:
            self._i2t_top[0][first:last], self._i2t_top[1][first:last] = best_of_rows(block, self._i2t_top[0].shape[1])
            self._t2i_top.add(first, block)

    def _without_own(self, first: int, block: Floats, tied: npt.NDArray[np.int32]) -> None:
        """Take out of the counts what an image's own captions and a caption's own image have added."""
        last = first + len(block)
        columns = self._queries.columns(first, last)
        rows = self._queries.caption_image[columns] - first
        segments = self._queries.starts[first:last] - self._queries.starts[first]
        own, best = block[rows, columns], self._best[first:last][rows]
        above, equal = (np.add.reduceat(of, segments, dtype=np.int32) for of in (own >= best, own == best))
        self._i2t[first:last] -= above
        self._i2t_tied[first:last] = tied > equal
        self._t2i[columns] -= own >= self._own[columns]
        self._t2i_equal[columns] -= own == self._own[columns]
        if not self._one_fold:
            self._i2t_fold[first:last] -= above
            self._t2i_fold[columns] -= own >= self._own[columns]

    def found(self) -> Counted:
        nothing = np.zeros((len(self._own), 0), np.int32), np.zeros((len(self._own), 0), self._own.dtype)
        t2i_top, t2i_top_score = nothing if self._t2i_top is None else self._t2i_top.best()
        return Counted(
            i2t=self._i2t,
            t2i=self._t2i,
            i2t_fold=self._i2t.copy() if self._one_fold else self._i2t_fold,
            t2i_fold=self._t2i.copy() if self._one_fold else self._t2i_fold,
            i2t_top=self._i2t_top[0],
            i2t_top_score=self._i2t_top[1],
            t2i_top=t2i_top,
            t2i_top_score=t2i_top_score,
            i2t_ties=int(self._i2t_tied.sum()),
            t2i_ties=int((self._t2i_equal > 0).sum()),
        )


def _by_row(hits: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    """How many are true in each row; numpy counts a stretch of memory much faster than it sums along an axis."""
    return np.array([np.count_nonzero(row) for row in hits], np.int32)
