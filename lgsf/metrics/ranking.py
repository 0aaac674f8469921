"""Exact ranks by comparison counts, Recall@K and its relatives: the evaluation protocol of the field.

Ties count against the model: a wrong candidate whose score equals the right one's stands before it. A
collapsed model is therefore at the bottom and not, as under an argsort, at chance or at 100 %.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lgsf.system.errors import LgsfError

TOP = 100


Ints = npt.NDArray[np.integer[Any]]


Floats = npt.NDArray[np.floating[Any]]


class Scores(Protocol):
    """A score matrix (n_images, n_captions) that can be walked in blocks of rows, twice with equal values.

    All blocks are of one type, float32 or float64. They are compared as they are: a cast to the narrower type would
    make ties of scores that differ (sigmoids near one do), and ties count against the model.
    """

    @property
    def shape(self) -> tuple[int, int]: ...

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        """(first image row, scores (rows, n_captions)), in order and without gaps."""
        ...


class Watcher(Protocol):
    """Somebody who wants to see every block of both walks, so that no third one is needed."""

    def first(self, first: int, block: Floats) -> None: ...

    def second(self, first: int, block: Floats) -> None: ...


@dataclass(frozen=True)
class MatrixScores:
    """A score matrix that is in memory."""

    matrix: Floats
    rows: int = 128

    @property
    def shape(self) -> tuple[int, int]:
        return self.matrix.shape[0], self.matrix.shape[1]

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        for start in range(0, len(self.matrix), self.rows):
            yield start, self.matrix[start : start + self.rows]


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """0-based ranks of every query, and the best candidates.

    i2t        (n_images,) int32: wrong captions at or above the best own caption, whole gallery
    t2i        (n_captions,) int32: wrong images at or above the own image, whole gallery
    i2t_fold, t2i_fold   the same against the candidates of the query's fold alone
    i2t_top, t2i_top     (n_queries, k) int32: best candidates, best first; k <= 100
    i2t_top_score, t2i_top_score   their scores, in the type of the matrix
    judged_score         (n_judged,): scores of the pairs asked for
    i2t_ties, t2i_ties   how many queries have a wrong candidate with the very score of their best right one
    """

    i2t: npt.NDArray[np.int32]
    t2i: npt.NDArray[np.int32]
    i2t_fold: npt.NDArray[np.int32]
    t2i_fold: npt.NDArray[np.int32]
    i2t_top: npt.NDArray[np.int32]
    i2t_top_score: Floats
    t2i_top: npt.NDArray[np.int32]
    t2i_top_score: Floats
    judged_score: Floats
    i2t_ties: int
    t2i_ties: int


def contiguous_folds(n_images: int, folds: int) -> npt.NDArray[np.int32]:
    """(n_images,) int32: equal blocks in file order, the 1K x 5 protocol of COCO for 5,000 images and 5 folds."""
    if n_images % folds:
        raise LgsfError(f"{n_images} test images cannot be cut into {folds} equal folds; change 'folds' in the config.")
    return np.repeat(np.arange(folds, dtype=np.int32), n_images // folds)


class NotFiniteScoreError(LgsfError):
    """A model gave NaN or infinity for a pair."""


def rank(
    scores: Scores,
    caption_image: Ints,
    image_fold: Ints,
    *,
    judged: tuple[Ints, Ints] | None = None,
    top: int = TOP,
    watchers: Sequence[Watcher] = (),
) -> Ranking:
    """Rank every query in both directions, in memory of a few blocks.

    caption_image  (n_captions,) row of each caption's image; every image has a caption
    image_fold     (n_images,) fold of each image
    judged         (images, captions): pairs whose scores are wanted
    watchers       see the blocks of both walks, all of them finite

    Raises LgsfError on a score that is not finite: NaN compares false with everything and would rank first.
    """
    n_images, n_captions = scores.shape
    caption_image = np.asarray(caption_image, np.int64)
    if caption_image.shape != (n_captions,) or np.shape(image_fold) != (n_images,):
        raise ValueError(
            f"{scores.shape} scores do not fit {caption_image.shape} captions, {np.shape(image_fold)} images"
        )
    by_image = np.argsort(caption_image, kind="stable")
    starts = np.searchsorted(caption_image[by_image], np.arange(n_images + 1))
    if (np.diff(starts) == 0).any():
        raise ValueError("an image has no caption")
    fold = np.asarray(image_fold)
    caption_fold = fold[caption_image]
    one_fold = bool((fold == fold[0]).all())

    i2t, i2t_fold = np.zeros(n_images, np.int32), np.zeros(n_images, np.int32)
    t2i, t2i_fold = np.zeros(n_captions, np.int32), np.zeros(n_captions, np.int32)
    i2t_tied, t2i_tied = 0, np.zeros(n_captions, bool)
    own_score, judged_score = np.zeros(n_captions, np.float32), np.zeros(0, np.float32)
    judged_images, judged_captions = judged if judged is not None else (np.zeros(0, np.int64), np.zeros(0, np.int64))
    i2t_top: list[tuple[npt.NDArray[np.int32], Floats]] = []
    t2i_top = _RunningTop(n_captions, min(top, n_images))

    for first, block in scores.blocks():  # everything that needs one image's row, and the captions' own scores
        last = first + len(block)
        if first == 0:
            own_score, judged_score = np.zeros(n_captions, block.dtype), np.zeros(len(judged_images), block.dtype)
        if not np.isfinite(block).all():
            row, column = np.argwhere(~np.isfinite(block))[0]
            raise NotFiniteScoreError(
                f"the score of image row {first + row} and caption row {column} is {block[row, column]}: "
                "a model that gives non-finite scores cannot be ranked; look at its training log."
            )
        columns = by_image[starts[first] : starts[last]]
        rows = caption_image[columns] - first
        segment = starts[first:last] - starts[first]
        own = block[rows, columns]
        own_score[columns] = own
        best = np.maximum.reduceat(own, segment)
        above = block >= best[:, None]
        above[rows, columns] = False  # an image's own captions never count against it
        i2t_tied += int((above & (block == best[:, None])).any(axis=1).sum())
        i2t[first:last] = above.sum(axis=1)
        i2t_fold[first:last] = (
            i2t[first:last] if one_fold else (above & _same(fold[first:last], caption_fold)).sum(axis=1)
        )
        i2t_top.append(_top(block, min(top, n_captions)))
        t2i_top.add(first, block)
        here = np.flatnonzero((judged_images >= first) & (judged_images < last))
        judged_score[here] = block[judged_images[here] - first, judged_captions[here]]
        for watcher in watchers:
            watcher.first(first, block)

    for first, block in scores.blocks():  # captions against every image, now that their own score is known
        columns = by_image[starts[first] : starts[first + len(block)]]
        above = block >= own_score
        above[caption_image[columns] - first, columns] = False
        t2i_tied |= (above & (block == own_score)).any(axis=0)
        t2i += above.sum(axis=0, dtype=np.int32)
        if not one_fold:
            t2i_fold += (above & _same(fold[first : first + len(block)], caption_fold)).sum(axis=0, dtype=np.int32)
        for watcher in watchers:
            watcher.second(first, block)

    return Ranking(
        i2t=i2t,
        t2i=t2i,
        i2t_fold=i2t_fold,
        t2i_fold=t2i.copy() if one_fold else t2i_fold,
        i2t_top=np.concatenate([ids for ids, _ in i2t_top]),
        i2t_top_score=np.concatenate([values for _, values in i2t_top]),
        t2i_top=t2i_top.ids,
        t2i_top_score=t2i_top.values,
        judged_score=judged_score,
        i2t_ties=i2t_tied,
        t2i_ties=int(t2i_tied.sum()),
    )


def _same(rows: Ints, columns: Ints) -> npt.NDArray[np.bool_]:
    same: npt.NDArray[np.bool_] = np.asarray(rows)[:, None] == np.asarray(columns)[None, :]
    return same


def _top(block: Floats, k: int) -> tuple[npt.NDArray[np.int32], Floats]:
    """Column ids (rows, k) and values of the k largest per row, best first, equal scores by id."""
    ids = np.sort(np.argpartition(-block, k - 1, axis=1)[:, :k], axis=1)
    values = np.take_along_axis(block, ids, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(ids, order, 1).astype(np.int32), np.take_along_axis(values, order, 1)


class _RunningTop:
    """The k best images of every caption while blocks of images go by."""

    def __init__(self, n_captions: int, k: int) -> None:
        self._k = k
        self.ids = np.zeros((n_captions, 0), np.int32)
        self.values: Floats = np.zeros((n_captions, 0), np.float32)

    def add(self, first: int, block: Floats) -> None:
        new = np.broadcast_to(np.arange(first, first + len(block), dtype=np.int32), block.T.shape)
        ids = np.concatenate([self.ids, new], axis=1)
        values = np.concatenate([self.values.astype(block.dtype, copy=False), block.T], axis=1)
        columns, self.values = _top(values, min(self._k, values.shape[1]))
        self.ids = np.take_along_axis(ids, columns, axis=1)
