"""Ranks of all positives of a query, and what follows: R@K, R-precision and mAP@R with false negatives right.

<run>/<split>/relevance.npz   per set and direction, `<set>_<direction>_query` and `_rank` (n_pairs,) int32, sorted;
                              `facts`, JSON: sources of the sets, and why a set is absent

The rank of a positive is the number of wrong candidates at or above it plus the number of positives before it:
ties count against the model, among positives they do not matter. mAP@R: Musgrave et al., ECCV 2020.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lgsf.metrics.ranking import Floats
from lgsf.metrics.recall import RECALL_AT

PAIRS = 8192  # pairs whose scores are gathered at once: 4 MB beside a block of 128 rows


DIRECTIONS = ("i2t", "t2i")


Ints = npt.NDArray[np.int32]


Rows = npt.NDArray[np.int64]


class RelevanceRanks:
    """Counts what stands at or above every positive while a score matrix is walked twice (lgsf.metrics.ranking.Watcher)."""

    def __init__(self, positives: Mapping[str, Positives], shape: tuple[int, int]) -> None:
        self._shape = shape
        self._i2t = {name: _Counted(*found.i2t, n_candidates=shape[1]) for name, found in positives.items()}
        # Walked by image rows, so sorted by them; the caption is the query.
        self._t2i = {name: _Counted(*found.t2i, n_candidates=shape[0]) for name, found in positives.items()}

    def first(self, first: int, block: Floats) -> None:
        """Image queries have their whole row here; caption queries get the scores of their positives."""
        last = first + len(block)
        ordered: dict[int, Floats] = {}  # sorted once, whatever the number of sets
        for counted in self._i2t.values():
            start, stop = np.searchsorted(counted.query, [first, last])
            row, caption = counted.query[start:stop] - first, counted.candidate[start:stop]
            score = block[row, caption]
            counted.hold(block.dtype)[start:stop] = score
            rows, starts = np.unique(row, return_index=True)
            ends = np.append(starts, len(row))[1:]
            for image, begin, end in zip(rows.tolist(), starts, ends, strict=True):
                if image not in ordered:
                    ordered[image] = np.sort(block[image])
                below = np.searchsorted(ordered[image], score[begin:end])
                counted.above[start + begin : start + end] = self._shape[1] - below
        for counted in self._t2i.values():
            here = np.flatnonzero((counted.candidate >= first) & (counted.candidate < last))
            counted.hold(block.dtype)[here] = block[counted.candidate[here] - first, counted.query[here]]

    def second(self, first: int, block: Floats) -> None:
        """Caption queries: how many images of this block stand at or above each positive."""
        for counted in self._t2i.values():
            for start in range(0, len(counted.query), PAIRS):
                pairs = slice(start, start + PAIRS)
                counted.above[pairs] += (block[:, counted.query[pairs]] >= counted.score[pairs]).sum(axis=0)

    def arrays(self) -> dict[str, Ints]:
        """The arrays of relevance.npz but its facts."""
        out: dict[str, Ints] = {}
        for direction, sets in (("i2t", self._i2t), ("t2i", self._t2i)):
            for name, counted in sets.items():
                query, rank = counted.ranks()
                out |= {f"{name}_{direction}_query": query, f"{name}_{direction}_rank": rank}
        return out


class _Counted:
    """Pairs of one set and direction with their score and the number of candidates at or above it, itself too."""

    def __init__(self, query: Rows, candidate: Rows, *, n_candidates: int) -> None:
        inside = candidate < n_candidates
        self.query, self.candidate = query[inside], candidate[inside]
        self._outside, self._n = query[~inside], n_candidates
        self.score: Floats = np.zeros(len(self.query), np.float32)
        self.above = np.zeros(len(self.query), np.int64)

    def hold(self, dtype: np.dtype[Any]) -> Floats:
        """The scores, in the type that the matrix has: a cast would make ties."""
        self.score = self.score.astype(dtype, copy=False)
        return self.score

    def ranks(self) -> tuple[Ints, Ints]:
        """(query, rank) of all pairs by query and rank; what is not in the gallery stands behind its last."""
        order = np.lexsort((-self.score, self.query))
        query, score, above = self.query[order], self.score[order], self.above[order]
        index = np.arange(len(query))
        new_query = np.diff(query, prepend=-1) != 0
        start = np.maximum.accumulate(np.where(new_query, index, 0))
        new_score = new_query | (np.diff(score, prepend=score.dtype.type(0)) != 0)
        ends = np.append(np.flatnonzero(new_score)[1:], len(query))  # one behind the last of each run of ties
        tied_until = ends[np.cumsum(new_score) - 1] if len(query) else index
        rank = (above - (tied_until - start)) + (index - start)
        query = np.concatenate([query, self._outside])
        rank = np.concatenate([rank, np.full(len(self._outside), self._n)])
        order = np.lexsort((rank, query))
        return query[order].astype(np.int32), rank[order].astype(np.int32)


def measures(query: Ints, rank: Ints) -> dict[str, float]:
    """R@1/5/10, R-precision and mAP@R in percent, means over the queries that have a positive; NaN without any.

    query, rank  (n_pairs,) sorted by both, as in relevance.npz; R is the number of positives of a query
    R@K          share of queries with a positive among the first K
    R-precision  share of positives among the first R
    mAP@R        mean over the first R places of the precision there where the place holds a positive, else 0
    """
    _, starts, positives = np.unique(query, return_index=True, return_counts=True)
    names = [*(f"r{k}" for k in RECALL_AT), "r_precision", "map_at_r"]
    if not len(starts):
        return dict.fromkeys(names, float("nan"))
    best = rank[starts]
    r = np.repeat(positives, positives)
    place = np.arange(len(rank)) - np.repeat(starts, positives)
    found = rank < r
    precision = np.where(found, (place + 1) / (rank + 1.0), 0.0)
    values = [
        *((best < k).mean() for k in RECALL_AT),
        (np.add.reduceat(found, starts, dtype=np.float64) / positives).mean(),
        (np.add.reduceat(precision, starts) / positives).mean(),
    ]
    return {name: 100.0 * float(value) for name, value in zip(names, values, strict=True)}


Pairs = tuple[Rows, Rows]


@dataclass(frozen=True)
class Positives:
    """One set: pairs (query row, candidate row) of either direction, sorted by query, none twice.

    i2t  queries are images, candidates captions; t2i the other way round. Only queries with a pair are asked.
    A candidate row at or behind the end of the gallery cannot be found, and counts in R all the same.
    """

    i2t: Pairs
    t2i: Pairs
    source: Mapping[str, Any]
