"""Ranks counted where the scores are: on a GPU no score crosses to the host but those that a list or a person asks for.

Counts what lgsf.metrics.counting counts, number for number, with tensors in the place of arrays.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lgsf.metrics.counting import Counted, Floats, Queries

STRIP = 2**16  # captions whose lists are renewed together: sorting takes several times their memory


class DeviceCounts:
    """The lgsf.metrics.counting.Counter of blocks that are tensors on `device`."""

    def __init__(self, queries: Queries, own: Floats, top: int, device: torch.device) -> None:
        """own: (n_captions,) score of each caption with its own image; top: how many candidates are listed."""
        self._queries, self._device, n_images, n_captions = queries, device, len(queries.fold), len(own)
        self._own, self._best = (torch.from_numpy(values).to(device) for values in (own, queries.best(own)))
        self._fold, self._caption_fold = (
            torch.from_numpy(of.astype("int32")).to(device) for of in (queries.fold, queries.caption_fold)
        )
        self._one_fold = queries.one_fold
        self._i2t, self._i2t_fold, self._i2t_equal = self._zeros(n_images), self._zeros(n_images), self._zeros(n_images)
        self._t2i, self._t2i_fold, self._t2i_equal = (
            self._zeros(n_captions),
            self._zeros(n_captions),
            self._zeros(n_captions),
        )
        self._i2t_top: list[tuple[Tensor, Tensor]] = []
        self._k_captions, self._k_images = min(top, n_captions), min(top, n_images)
        self._t2i_ids = torch.zeros((n_captions, 0), dtype=torch.int32, device=device)
        self._t2i_values = torch.zeros((n_captions, 0), dtype=self._own.dtype, device=device)

    def _zeros(self, n: int) -> Tensor:
        return torch.zeros(n, dtype=torch.int32, device=self._device)

    @torch.inference_mode()
    def add(self, first: int, block: Tensor) -> None:
        """Scores (rows, n_captions) of the images from `first` on."""
        last = first + len(block)
        images = slice(first, last)
        best = self._best[images, None]
        above, reached = block >= best, block >= self._own
        self._i2t[images] += _count(above, 1)
        self._i2t_equal[images] += _count(block == best, 1)
        self._t2i += _count(reached, 0)
        self._t2i_equal += _count(block == self._own, 0)
        if not self._one_fold:
            same = self._fold[images, None] == self._caption_fold
            self._i2t_fold[images] += _count(above & same, 1)
            self._t2i_fold += _count(reached & same, 0)
        self._without_own(first, block)
        if self._k_captions:
            ids, values = _best_of(block, None, self._k_captions)
            self._i2t_top.append((ids.cpu(), values.cpu()))
            self._renew(first, block)

    def _without_own(self, first: int, block: Tensor) -> None:
        """Take out of the counts what an image's own captions and a caption's own image have added."""
        found = self._queries.columns(first, first + len(block))
        columns = torch.from_numpy(found).to(self._device)
        images = torch.from_numpy(self._queries.caption_image[found]).to(self._device)
        own, best, mine = block[images - first, columns], self._best[images], self._own[columns]
        # Captions stand image by image, so those of an image are a stretch of a running sum: nothing is scattered.
        stops = torch.from_numpy(self._queries.starts[first : first + len(block) + 1]).to(self._device)
        stops = stops - stops[0]
        above, equal = (_of_stretches(hits, stops) for hits in (own >= best, own == best))
        last = first + len(block)
        self._i2t[first:last] -= above
        self._i2t_equal[first:last] -= equal
        self._t2i[columns] -= (own >= mine).int()
        self._t2i_equal[columns] -= (own == mine).int()
        if not self._one_fold:
            self._i2t_fold[first:last] -= above
            self._t2i_fold[columns] -= (own >= mine).int()

    def _renew(self, first: int, block: Tensor) -> None:
        """The lists of the captions, with the images of `block` among the candidates."""
        new = torch.arange(first, first + len(block), dtype=torch.int32, device=self._device)
        ids, values = [], []
        for start in range(0, block.shape[1], STRIP):
            strip = slice(start, start + STRIP)
            held = self._t2i_ids[strip]
            every = torch.cat([self._t2i_values[strip], block[:, strip].T], 1)
            named = torch.cat([held, new.expand(len(held), -1)], 1)
            kept, best = _best_of(every, named, min(self._k_images, every.shape[1]))
            ids.append(kept)
            values.append(best)
        self._t2i_ids, self._t2i_values = torch.cat(ids), torch.cat(values)

    def found(self) -> Counted:
        i2t, i2t_fold, t2i, t2i_fold = (
            counts.cpu().numpy() for counts in (self._i2t, self._i2t_fold, self._t2i, self._t2i_fold)
        )
        none = (
            self._t2i_ids.new_zeros((len(self._best), 0)).cpu(),
            self._t2i_values.new_zeros((len(self._best), 0)).cpu(),
        )
        ids, values = zip(*(self._i2t_top or [none]), strict=True)
        return Counted(
            i2t=i2t,
            t2i=t2i,
            i2t_fold=i2t.copy() if self._one_fold else i2t_fold,
            t2i_fold=t2i.copy() if self._one_fold else t2i_fold,
            i2t_top=torch.cat(ids).numpy(),
            i2t_top_score=torch.cat(values).numpy(),
            t2i_top=self._t2i_ids.cpu().numpy(),
            t2i_top_score=self._t2i_values.cpu().numpy(),
            i2t_ties=int((self._i2t_equal > 0).sum()),
            t2i_ties=int((self._t2i_equal > 0).sum()),
        )


def _count(hits: Tensor, dim: int) -> Tensor:
    return hits.sum(dim, dtype=torch.int32)


def _of_stretches(hits: Tensor, stops: Tensor) -> Tensor:
    """(n,) int32: how many of `hits` are true from stops[i] to stops[i + 1] - 1."""
    sums = torch.cat([stops.new_zeros(1), hits.long().cumsum(0)])[stops]
    return sums.diff().int()


def _best_of(values: Tensor, ids: Tensor | None, k: int) -> tuple[Tensor, Tensor]:
    """Ids (n, k) int32 and values of the k largest of each row, best first, equal ones as they stand.

    ids  (n, width) what stands in the columns of `values`; their numbers without it. Those of equal values ascend.
    """
    best, order = values.sort(dim=1, descending=True, stable=True)
    order = order[:, :k]
    return (order.int() if ids is None else ids.gather(1, order)), best[:, :k].contiguous()
