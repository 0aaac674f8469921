"""Encoded captions without padding, and how they are cut into tiles: one endless caption must not cost what all cost.

Padded to the longest, 1,000 captions of 12 words and one of 700 would take sixty times their memory. What is kept are
the fragments alone; a tile is padded when it is asked for, and long captions stand in small tiles of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from lgsf.models.base import Encoded

LONG = 128  # tokens from which on a caption is long; sentences of the field's data have fewer


class Ragged:
    """Samples with fragments, one after the other in memory; `select` gives some of them as `Encoded`."""

    def __init__(self, parts: list[Encoded], rows: Tensor) -> None:
        """`parts` are emptied on the way: their memory is free before the last one is copied.

        rows  (n_samples,) int64: which sample each of the parts' is, in their order
        """
        first = parts[0]
        assert first.fragments is not None and first.mask is not None
        device = first.fragments.device
        used = [_used(part) for part in parts]  # fragments up to the last valid one
        lengths = torch.cat(used)
        total = int(lengths.sum())
        self._fragments = first.fragments.new_empty(total, first.fragments.shape[2])
        self._mask = first.mask.new_empty(total)
        vectors: list[Tensor] = []
        start = 0
        for place, own in enumerate(used):
            part = parts[place]
            assert part.fragments is not None and part.mask is not None
            kept = torch.arange(part.mask.shape[1], device=device) < own[:, None]
            stop = start + int(own.sum())
            self._fragments[start:stop], self._mask[start:stop] = part.fragments[kept], part.mask[kept]
            if part.vector is not None:
                vectors.append(part.vector)
            start = stop
            parts[place] = Encoded(vector=part.fragments.new_empty(0, 0))
        order = rows.to(device).argsort()
        self.lengths = lengths[order]
        self._starts = (lengths.cumsum(0) - lengths)[order]
        self.vector = torch.cat(vectors)[order] if vectors else None

    def __len__(self) -> int:
        return len(self.lengths)

    def select(self, rows: Tensor) -> Encoded:
        """The samples `rows` in that order, padded with zeros to the longest of them."""
        rows = rows.to(self.lengths.device)
        lengths = self.lengths[rows]
        columns = torch.arange(int(lengths.max()), device=lengths.device)
        inside = columns < lengths[:, None]
        places = torch.where(inside, self._starts[rows][:, None] + columns, 0)
        return Encoded(
            vector=None if self.vector is None else self.vector[rows],
            fragments=self._fragments[places].masked_fill_(~inside[..., None], 0.0),
            mask=self._mask[places] & inside,
        )


def collected(parts: Iterable[tuple[Encoded, Tensor]], total: int) -> Encoded | Ragged:
    """All `total` samples in their order, from parts of them with their rows; without padding where they have fragments.

    Vectors go to their places as they come, so that they are in memory once.
    """
    whole: Tensor | None = None
    kept: list[Encoded] = []
    places: list[Tensor] = []
    for part, rows in parts:
        if part.fragments is not None:
            kept.append(part)
            places.append(rows)
            continue
        assert part.vector is not None
        if whole is None:
            whole = part.vector.new_empty(total, part.vector.shape[1])
        whole[rows.to(whole.device)] = part.vector
    return Ragged(kept, torch.cat(places)) if whole is None else Encoded(vector=whole)


def tiles(texts: Encoded | Ragged, size: int) -> Iterator[tuple[Tensor, int]]:
    """(rows of a tile, how many of them count): every caption in one tile, a tile filled up with its last row.

    Tiles have `size` captions in their order, as the shapes of matrix products must not depend on anything else.
    Long captions come after all others, in tiles of 2^k that hold no more fragments than the others may.
    """
    rows = torch.arange(len(texts))
    long = texts.lengths.cpu() > LONG if isinstance(texts, Ragged) else torch.zeros(len(texts), dtype=torch.bool)
    yield from _filled(rows[~long], size)
    if isinstance(texts, Ragged) and bool(long.any()):
        rest = rows[long][texts.lengths.cpu()[long].argsort(descending=True, stable=True)]
        while len(rest):
            fitting = max(1, size * LONG // int(texts.lengths[rest[0]]))
            small = 1 << (fitting.bit_length() - 1)
            yield next(_filled(rest[:small], small))
            rest = rest[small:]


def _filled(rows: Tensor, size: int) -> Iterator[tuple[Tensor, int]]:
    for start in range(0, len(rows), size):
        own = rows[start : start + size]
        yield torch.cat([own, own[-1:].expand(size - len(own))]), len(own)


def _used(part: Encoded) -> Tensor:
    """(n,) int64: fragments of each sample up to its last valid one, at least one."""
    assert part.mask is not None
    places = torch.arange(1, part.mask.shape[1] + 1, device=part.mask.device)
    return (places * part.mask).amax(1).clamp_(min=1)
