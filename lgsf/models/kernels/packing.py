"""The valid entries of padded samples, one after the other, and back: gathers in both directions.

torch's boolean indexing asks the device how many entries there are, and its gradient scatters. The host knows the masks
of a batch (lgsf.data.batches.host), so both ways are one gather by indices that were made there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.weak import WeakIdKeyDictionary

from lgsf.data.batches.host import on_host, upload


@dataclass(frozen=True)
class Packing:
    """Where the valid entries of (n, length) stand among the packed rows.

    places   (n_rows,) int64: place of each row in the flattened (n, length)
    rows     (n * length,) int64: row of each place, any where it is padding
    padding  (n, length, 1) bool
    counts   (steps,) int64 on the host: rows of each step where rows go step by step, as nn.GRU's batch sizes
    """

    places: Tensor
    rows: Tensor
    padding: Tensor
    counts: Tensor | None = None

    @staticmethod
    def of(places: Tensor, mask: Tensor, counts: Tensor | None = None) -> Packing:
        """From `places` on the host and the mask (n, length) on its device."""
        rows = torch.zeros(mask.numel(), dtype=torch.long)
        rows[places] = torch.arange(len(places))
        with torch.inference_mode(False):  # what evaluation made may serve a training step
            both = upload(torch.cat([places, rows]), mask.device)
            return Packing(both[: len(places)], both[len(places) :], ~mask.unsqueeze(2), counts)


_samples, _steps = WeakIdKeyDictionary(), WeakIdKeyDictionary()


def by_sample(mask: Tensor) -> Packing:
    """The valid entries of mask (n, length) in their order: sample after sample."""
    if mask not in _samples:
        _samples[mask] = Packing.of(on_host(mask).flatten().nonzero().squeeze(1), mask)
    found: Packing = _samples[mask]
    return found


def by_step(mask: Tensor) -> Packing:
    """The valid entries, which come first in each sample, step after step; samples from long to short."""
    if mask not in _steps:
        host = on_host(mask)
        places, counts = steps(host.sum(1), host.shape[1])
        _steps[mask] = Packing.of(places, mask, counts)
    found: Packing = _steps[mask]
    return found


def steps(lengths: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Places (n_rows,) in the flattened (n, width), step after step, and (longest,) how many sequences still run."""
    length, order = lengths.sort(descending=True, stable=True)
    running = torch.arange(int(length[0])).unsqueeze(1) < length
    step, rank = running.nonzero(as_tuple=True)
    return order[rank] * width + step, running.sum(1)


def pack(x: Tensor, packing: Packing) -> Tensor:
    """(n, length, dim) -> (n_rows, dim)."""
    rows: Tensor = _Pack.apply(x, packing)  # type: ignore[no-untyped-call]
    return rows


def unpack(rows: Tensor, packing: Packing) -> Tensor:
    """(n_rows, dim) -> (n, length, dim), zero on padding."""
    x: Tensor = _Unpack.apply(rows, packing)  # type: ignore[no-untyped-call]
    return x


def _pack(x: Tensor, packing: Packing) -> Tensor:
    return x.flatten(0, 1).index_select(0, packing.places)


def _unpack(rows: Tensor, packing: Packing) -> Tensor:
    x = rows.index_select(0, packing.rows).view(*packing.padding.shape[:2], rows.shape[1])
    return x.masked_fill_(packing.padding, 0)


class _Pack(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, packing: Packing) -> Tensor:
        ctx.packing = packing
        return _pack(x, packing)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _unpack(grad, ctx.packing), None


class _Unpack(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, packing: Packing) -> Tensor:
        ctx.packing = packing
        return _unpack(rows, packing)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _pack(grad, ctx.packing), None
