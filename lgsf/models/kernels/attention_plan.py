"""Which samples cross-attention computes together: blocks of bounded memory over ragged samples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lgsf.data.batches.host import upload
from lgsf.models.kernels import forms

# Products in one block: little enough for the caches of a CPU (True), enough to fill a GPU (not tuned on one).
_BLOCK_ELEMENTS = {True: 2**20, False: 2**24}
_LIVE_BLOCKS = 8  # tensors of a block's size that are alive at once in the backward pass


class Sources(NamedTuple):
    """A group of n source samples of similar length s; q queries of o samples meet it block by block."""

    rows: slice | Tensor  # which samples
    flat: Tensor  # (n * s, dim)
    mask: Tensor | None  # (n, s), None where all are valid
    gram: Tensor  # (n, s, s)


class Queries(NamedTuple):
    """A group of o query samples with q fragments."""

    samples: slice
    rows: slice  # among the packed queries
    owner: Tensor  # (q,) sample of each fragment within the group
    counts: Tensor  # (o,) fragments of each sample
    membership: Tensor  # (o, q) one where the fragment is the sample's, else zero


class Plan(NamedTuple):
    """Which samples are computed together: whole query samples in order, source samples by length."""

    query_groups: list[Queries]
    source_rows: list[slice | Tensor]
    source_lengths: list[int]
    source_ragged: list[bool]  # whether some sources of the group are shorter than the others

    @staticmethod
    def make(like: Tensor, counts: Sequence[int], source_counts: Sequence[int], memory_mb: int) -> Plan:
        """Blocks of about `_BLOCK_ELEMENTS` products, fewer where the memory asks for it; at least one sample each."""
        device, dtype = like.device, like.dtype
        small = forms.blocked(like)
        elements = min(_BLOCK_ELEMENTS[small], memory_mb * 2**20 // (2 * 4 * _LIVE_BLOCKS))
        ragged = min(source_counts) < max(source_counts)
        if not small and len(source_counts) * max(source_counts) <= 2 * math.isqrt(elements):
            ragged = False  # one group whatever the order
        order = sorted(range(len(source_counts)), key=source_counts.__getitem__) if ragged else None
        lengths = [source_counts[i] for i in order] if order else source_counts
        source_rows: list[slice | Tensor] = []
        source_lengths: list[int] = []
        source_ragged: list[bool] = []
        for part in _runs(lengths, 2 * math.isqrt(elements), padded=True):
            source_rows.append(upload(torch.tensor(order[part]), device) if order else part)
            source_lengths.append(max(lengths[part]))
            source_ragged.append(min(lengths[part]) < max(lengths[part]))
        widest = max(
            (part.stop - part.start) * length if isinstance(part, slice) else len(part) * length
            for part, length in zip(source_rows, source_lengths, strict=True)
        )
        query_groups, start = [], 0
        for part in _runs(counts, max(1, elements // widest)):
            own = torch.tensor(counts[part])
            owners = torch.repeat_interleave(torch.arange(len(own)), own)
            both = upload(torch.cat([owners, own]), device)
            owner, own = both[: len(owners)], both[len(owners) :]
            rows = slice(start, start := start + len(owners))
            samples = torch.arange(len(own), device=device)
            query_groups.append(Queries(part, rows, owner, own, (owner == samples[:, None]).to(dtype)))
        return Plan(query_groups, source_rows, source_lengths, source_ragged)

    def source_groups(self, sources: Tensor, mask: Tensor) -> Iterator[Sources]:
        """The source samples of each group, cut to the group's longest; masked fragments become zero."""
        for rows, length, ragged in zip(self.source_rows, self.source_lengths, self.source_ragged, strict=True):
            vectors, valid = sources[rows, :length], mask[rows, :length]
            if ragged:
                vectors = vectors.masked_fill(~valid[..., None], 0)
            gram = torch.bmm(vectors, vectors.transpose(1, 2))
            yield Sources(rows, vectors.reshape(-1, sources.shape[2]), valid if ragged else None, gram)


def _runs(sizes: Sequence[int], limit: int, *, padded: bool = False) -> Iterator[slice]:
    """Consecutive slices whose sizes add up to at most `limit`, or one item; `padded` counts the largest for each."""
    start, total, largest = 0, 0, 0
    for i, size in enumerate(sizes):
        total, largest = total + size, max(largest, size)
        weight = largest * (i + 1 - start) if padded else total
        if weight > limit and i > start:
            yield slice(start, i)
            start, total, largest = i, size, size
    if start < len(sizes):
        yield slice(start, len(sizes))
