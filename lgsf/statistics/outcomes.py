"""From ranks to outcomes: how often each run was right about each image, the unit that all tests resample.

An image and its captions are one cluster: its i2t query and its captions' t2i queries are drawn, swapped and
counted together. Captions of one image are not independent; treated as if they were, a nominal 5 % test
raises 6 to 27 % false alarms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from lgsf.metrics.names import RECALLS
from lgsf.metrics.recall import RECALL_AT
from lgsf.system.errors import LgsfError

ProtocolName = Literal["full", "folds"]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.integer[Any]]


class Ranks(Protocol):
    """The ranks of one run on one split, as lgsf.runs.ranks reads them.

    i2t, i2t_fold  (n_images,) int 0-based ranks; t2i, t2i_fold (n_captions,)
    caption_image  (n_captions,) int, row of each caption's image; image_fold (n_images,) int
    queries        digest of the ids: equal where two runs answered the same questions
    """

    @property
    def i2t(self) -> Ints: ...
    @property
    def t2i(self) -> Ints: ...
    @property
    def i2t_fold(self) -> Ints: ...
    @property
    def t2i_fold(self) -> Ints: ...
    @property
    def caption_image(self) -> Ints: ...
    @property
    def image_fold(self) -> Ints: ...
    @property
    def queries(self) -> str: ...


@dataclass(frozen=True)
class Outcomes:
    """Hits of every run, image by image.

    systems   names of the systems; a system is a method with its seeds, or a single checkpoint
    members   (n_runs,) int64, the system of each run; runs of a system are neighbours
    hits      (n_images, n_runs, 6) float32 whole numbers: 0 or 1 for i2t, 0 to captions of the image for t2i
    captions  (n_images,) float64, captions of each image
    fold      (n_images,) int64, 0 to n_folds - 1
    """

    systems: tuple[str, ...]
    members: npt.NDArray[np.int64]
    hits: npt.NDArray[np.float32]
    captions: Floats
    fold: npt.NDArray[np.int64]

    @property
    def seeds(self) -> npt.NDArray[np.int64]:
        """(n_systems,) runs per system."""
        return np.bincount(self.members)

    @property
    def queries(self) -> Floats:
        """(6,) queries behind each recall."""
        return np.repeat([float(len(self.captions)), float(self.captions.sum())], len(RECALL_AT))

    def recalls(self) -> Floats:
        """(n_runs, 7) R@1/5/10 of both directions and rSum, percent, pooled over queries as in lgsf.metrics.recall."""
        return with_rsum(100.0 * self.hits.sum(axis=0, dtype=np.float64) / self.queries)

    def system_recalls(self) -> Floats:
        """(n_systems, 7) mean over each system's runs."""
        return self.mean_over_runs(self.recalls(), axis=0)

    def system_hits(self) -> npt.NDArray[np.float32]:
        """(n_images, n_systems, 6) whole numbers: hits summed over each system's runs."""
        return np.add.reduceat(self.hits, self._starts, axis=1)

    def mean_over_runs(self, values: Floats, *, axis: int) -> Floats:
        """Average `values` over the runs of each system along `axis`."""
        sums = np.add.reduceat(values, self._starts, axis=axis)
        shape = [1] * sums.ndim
        shape[axis] = -1
        return np.asarray(sums / self.seeds.reshape(shape), np.float64)

    @property
    def _starts(self) -> npt.NDArray[np.int64]:
        return np.searchsorted(self.members, np.arange(len(self.systems)))


def with_rsum(recalls: Floats) -> Floats:
    """(..., 6) recalls -> (..., 7) with their sum as the last column."""
    return np.concatenate([recalls, recalls.sum(axis=-1, keepdims=True)], axis=-1)


def outcomes(runs: Mapping[str, Sequence[Ranks]], *, protocol: ProtocolName = "full") -> Outcomes:
    """Collect the hits of all runs; `protocol` "folds" takes the ranks inside each query's fold.

    Raises LgsfError when a system has no run or when two runs answered different queries.
    """
    listed = [(name, ranks) for name, group in runs.items() for ranks in group]
    if empty := [name for name, group in runs.items() if not group]:
        raise LgsfError(f"method {empty[0]!r} has no finished run: leave it out or run it first.")
    if not listed:
        raise LgsfError("there is no run to compare: name at least one method.")
    first_name, first = listed[0]
    for name, ranks in listed:
        if ranks.queries != first.queries:
            raise LgsfError(
                f"runs of {first_name!r} and {name!r} ranked different queries: evaluate both on the same data."
            )
    image = np.asarray(first.caption_image, np.int64)
    n_images = len(first.i2t)
    hits = np.empty((n_images, len(listed), len(RECALLS)), np.float32)
    for row, (_, ranks) in enumerate(listed):
        i2t, t2i = (ranks.i2t, ranks.t2i) if protocol == "full" else (ranks.i2t_fold, ranks.t2i_fold)
        for column, k in enumerate(RECALL_AT):
            hits[:, row, column] = np.asarray(i2t) < k
            right = np.bincount(image, weights=np.asarray(t2i) < k, minlength=n_images)
            hits[:, row, column + len(RECALL_AT)] = right
    return Outcomes(
        systems=tuple(runs),
        members=np.repeat(np.arange(len(runs)), [len(group) for group in runs.values()]),
        hits=hits,
        captions=np.bincount(image, minlength=n_images).astype(np.float64),
        fold=np.unique(np.asarray(first.image_fold), return_inverse=True)[1].astype(np.int64),
    )
