"""Exact ranks by comparison counts, Recall@K and its relatives: the evaluation protocol of the field.

Ties count against the model: a wrong candidate whose score equals the right one's stands before it. A
collapsed model is therefore at the bottom and not, as under an argsort, at chance or at 100 %.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

from lgsf.metrics.counting import Counted, Counter, Counts, Queries
from lgsf.metrics.counting import Floats as Floats
from lgsf.metrics.counting import Ints as Ints
from lgsf.system.errors import LgsfError
from lgsf.system.logs import Pace

TOP = 100
T = TypeVar("T")


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


@runtime_checkable
class DirectScores(Scores, Protocol):
    """Scores that can say a few of their numbers at once, and know where they are counted best.

    pairs    the scores of the pairs (images[k], captions[k]), the very numbers of the blocks
    walk     the blocks, in the form that `counter` takes: arrays, or tensors on a device
    """

    def pairs(self, images: Ints, captions: Ints) -> Floats: ...

    def walk(self) -> Iterator[tuple[int, Any]]: ...

    def counter(self, queries: Queries, own: Floats, top: int) -> Counter: ...


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
class Ranking(Counted):
    """0-based ranks of every query, and the best candidates.

    i2t        (n_images,) int32: wrong captions at or above the best own caption, whole gallery
    t2i        (n_captions,) int32: wrong images at or above the own image, whole gallery
    i2t_fold, t2i_fold   the same against the candidates of the query's fold alone
    i2t_top, t2i_top     (n_queries, k) int32: best candidates, best first, equal scores by row; k <= 100
    i2t_top_score, t2i_top_score   their scores, in the type of the matrix
    i2t_ties, t2i_ties   how many queries have a wrong candidate with the very score of their best right one
    judged_score         (n_judged,): scores of the pairs asked for
    """

    judged_score: Floats


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

    top            how many candidates are listed for a query; 0 spares the lists

    Raises LgsfError on a score that is not finite: NaN compares false with everything and would rank first.

    Scores are walked twice, since a caption can be ranked once the score of its own image is known; once where these
    are known without a walk (DirectScores) and nobody else wants to see two.
    """
    n_images, n_captions = scores.shape
    if np.shape(caption_image) != (n_captions,) or np.shape(image_fold) != (n_images,):
        raise ValueError(
            f"{scores.shape} scores do not fit {np.shape(caption_image)} captions, {np.shape(image_fold)} images"
        )
    queries = Queries.of(caption_image, image_fold)
    nobody = np.zeros(0, np.int64), np.zeros(0, np.int64)
    rows, columns = (
        np.concatenate([own, np.asarray(other, np.int64)])
        for own, other in zip((queries.caption_image, np.arange(n_captions)), judged or nobody, strict=True)
    )
    if isinstance(scores, DirectScores) and not watchers:
        known = scores.pairs(rows, columns)
        counter, walk = scores.counter(queries, known[:n_captions], top), told_blocks(scores.walk(), n_images)
        for first, block in walk:
            _check_finite(first, block)
            counter.add(first, block)
    else:
        known = _first_walk(scores, rows, columns, watchers)
        counter = Counts(queries, known[:n_captions], top)
        for first, block in told_blocks(scores.blocks(), n_images):
            counter.add(first, block)
            for watcher in watchers:
                watcher.second(first, block)
    return Ranking(judged_score=known[n_captions:], **vars(counter.found()))


def _first_walk(scores: Scores, rows: Ints, columns: Ints, watchers: Sequence[Watcher]) -> Floats:
    """The scores of the pairs (rows[k], columns[k]); every block is finite and seen by the watchers."""
    by_row = np.argsort(rows, kind="stable")
    known: Floats = np.zeros(len(rows), np.float32)
    for first, block in told_blocks(scores.blocks(), scores.shape[0]):
        _check_finite(first, block)
        if first == 0:
            known = known.astype(block.dtype)
        start, stop = np.searchsorted(rows, [first, first + len(block)], sorter=by_row)
        here = by_row[start:stop]
        known[here] = block[rows[here] - first, columns[here]]
        for watcher in watchers:
            watcher.first(first, block)
    return known


def told_blocks(blocks: Iterable[tuple[int, T]], n_images: int) -> Iterator[tuple[int, T]]:
    """The blocks, while the log says now and then how far they are."""
    pace = Pace("ranking", n_images, "images")
    for first, block in blocks:
        pace.at(first)
        yield first, block


def _check_finite(first: int, block: Any) -> None:
    """`block` is an array, or a tensor on a device."""
    if isinstance(block, np.ndarray):
        finite = all(np.isfinite(row).all() for row in block)
    else:
        finite = bool((block - block == 0).all())
    if not finite:
        values = block if isinstance(block, np.ndarray) else block.cpu().numpy()
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise NotFiniteScoreError(
            f"the score of image row {first + row} and caption row {column} is {values[row, column]}: "
            "a model that gives non-finite scores cannot be ranked; look at its training log."
        )
