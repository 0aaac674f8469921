"""Which samples cross-attention computes together: blocks of bounded memory over ragged samples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

# Products in one block: little enough for the caches of a CPU, enough to fill a GPU (not tuned on one).
_BLOCK_ELEMENTS = {"cpu": 2**20, "cuda": 2**24}
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
    membership: Tensor  # (o, q) one where the fragment is the sample's, else zero


class Plan(NamedTuple):
    """Which samples are computed together: whole query samples in order, source samples by length."""

    query_groups: list[Queries]
    source_rows: list[slice | Tensor]
    source_lengths: list[int]

    @staticmethod
    def make(like: Tensor, counts: Sequence[int], source_counts: Sequence[int], memory_mb: int) -> Plan:
        """Blocks of about `_BLOCK_ELEMENTS` products, fewer where the memory asks for it; at least one sample each."""
        device, dtype = like.device, like.dtype
        elements = min(_BLOCK_ELEMENTS.get(device.type, 2**22), memory_mb * 2**20 // (2 * 4 * _LIVE_BLOCKS))
        ragged = min(source_counts) < max(source_counts)
        order = sorted(range(len(source_counts)), key=source_counts.__getitem__) if ragged else None
        lengths = [source_counts[i] for i in order] if order else source_counts
        source_rows: list[slice | Tensor] = []
        source_lengths: list[int] = []
        for part in _runs(lengths, 2 * math.isqrt(elements), padded=True):
            index = torch.tensor(order[part], device=device) if order else None
            source_rows.append(part if index is None else index)
            source_lengths.append(lengths[part.stop - 1])
        widest = max(
            (part.stop - part.start) * length if isinstance(part, slice) else len(part) * length
            for part, length in zip(source_rows, source_lengths, strict=True)
        )
        query_groups, start = [], 0
        for part in _runs(counts, max(1, elements // widest)):
            own = torch.tensor(counts[part], device=device)
            samples = torch.arange(len(own), device=device)
            owner = torch.repeat_interleave(samples, own)
            rows = slice(start, start := start + sum(counts[part]))
            query_groups.append(Queries(part, rows, owner, (owner == samples[:, None]).to(dtype)))
        return Plan(query_groups, source_rows, source_lengths)

    def source_groups(self, sources: Tensor, mask: Tensor) -> Iterator[Sources]:
        """The source samples of each group, cut to the group's longest; masked fragments become zero."""
        for rows, length in zip(self.source_rows, self.source_lengths, strict=True):
            vectors, valid = sources[rows, :length], mask[rows, :length]
            all_valid = bool(valid.all())
            if not all_valid:
                vectors = vectors.masked_fill(~valid[..., None], 0)
            gram = torch.bmm(vectors, vectors.transpose(1, 2))
            yield Sources(rows, vectors.reshape(-1, sources.shape[2]), None if all_valid else valid, gram)


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
