"""The best candidates of every query while blocks of a score matrix go by: by score, and equal scores by their id."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Ids = npt.NDArray[np.int32]
SPARE = 48  # places behind the best k of a query, filled before the best are chosen again
STRIP = 4096  # queries that are looked at together: their part of a block stays in the cache


def best_of_rows(block: Floats, k: int) -> tuple[Ids, Floats]:
    """Column ids (rows, k) and values of the k largest of each row of `block`, best first, equal scores by id."""
    ids, values = np.empty((len(block), k), np.int32), np.empty((len(block), k), block.dtype)
    for place, row in enumerate(block):
        near = np.flatnonzero(row >= _bound(row, k))
        chosen = near[np.argsort(-row[near], kind="stable")[:k]]
        ids[place], values[place] = chosen, row[chosen]
    return ids, values


def _bound(row: Floats, k: int) -> Any:
    """A number that at least k entries of `row` reach, and few others: the k-th largest of the maxima of its pieces."""
    width = len(row) // (4 * k)
    if width > 1:
        row = row[: len(row) // width * width].reshape(-1, width).max(axis=1)
    return np.partition(row, len(row) - k)[len(row) - k] if k < len(row) else row.min()


class RunningTop:
    """The k best of the candidates that have gone by, for each of `n` queries.

    Candidates come in the order of their ids. A query has k + SPARE places in that order; what does not reach its k-th
    best so far never gets one, and the best are chosen when its places are full.
    """

    def __init__(self, n: int, k: int) -> None:
        self._n, self._k = n, k
        self._ids: Ids = np.zeros((0, 0), np.int32)
        self._values: Floats = np.zeros((0, 0), np.float32)

    def add(self, first: int, block: Floats) -> None:
        """Candidates from `first` on: `block` (candidates, n)."""
        if not len(self._ids):
            self._ids = np.zeros((self._n, self._k + SPARE), np.int32)
            self._values = np.full((self._n, self._k + SPARE), -np.inf, block.dtype)
            self._bound = np.full(self._n, -np.inf, block.dtype)
            self._filled = np.zeros(self._n, np.int64)
        for start in range(0, self._n, STRIP):
            self._add(first, np.ascontiguousarray(block[:, start : start + STRIP]), start)

    def _add(self, first: int, block: Floats, start: int) -> None:
        better = block > self._bound[start : start + block.shape[1]]  # later ids do not displace equal scores
        counts = better.sum(axis=0, dtype=np.int32)
        filled = self._filled[start : start + block.shape[1]]
        full = filled + counts > self._ids.shape[1]
        if full.any():
            self._choose(start + np.flatnonzero(full), first, block[:, full])
            better &= ~full
            counts[full] = 0
        row, column = np.nonzero(better)
        order = np.argsort(column.astype(np.uint16), kind="stable")
        row, column = row[order], column[order]
        place = filled[column] + np.arange(len(column)) - np.repeat(np.cumsum(counts) - counts, counts)
        self._ids[start + column, place] = first + row
        self._values[start + column, place] = block[row, column]
        self._filled[start : start + block.shape[1]] += counts

    def _choose(self, queries: npt.NDArray[np.int64], first: int, block: Floats) -> None:
        """Keep the k best of what `queries` hold and of their columns of `block`, in the order of the ids."""
        ids = np.broadcast_to(np.arange(first, first + len(block), dtype=np.int32), block.T.shape)
        ids = np.concatenate([self._ids[queries], ids], axis=1)
        values = np.concatenate([self._values[queries], block.T], axis=1)
        width = values.shape[1]
        bound = np.partition(values, width - self._k, axis=1)[:, width - self._k]
        above, equal = values > bound[:, None], values == bound[:, None]
        wanted = self._k - above.sum(axis=1)
        keep = above | (equal & (np.cumsum(equal, axis=1) <= wanted[:, None]))
        self._ids[queries, : self._k] = ids[keep].reshape(-1, self._k)
        self._values[queries, : self._k] = values[keep].reshape(-1, self._k)
        self._values[queries, self._k :] = -np.inf
        self._bound[queries], self._filled[queries] = bound, self._k

    def best(self) -> tuple[Ids, Floats]:
        """Ids (n, k) and values, best first, of at least k candidates; nothing can be added any more."""
        for start in range(0, self._n, STRIP):
            ids, values = self._ids[start : start + STRIP], self._values[start : start + STRIP]
            order = np.argsort(-values, axis=1, kind="stable")[:, : self._k]
            ids[:, : self._k] = np.take_along_axis(ids, order, axis=1)
            values[:, : self._k] = np.take_along_axis(values, order, axis=1)
        # In their place: a copy would be the peak of a ranking.
        return self._ids[:, : self._k], self._values[:, : self._k]
