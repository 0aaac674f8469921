"""One training batch: what the data hand to a method."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lgsf.data.batches.host import on_host, remember


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One training batch: row k of every tensor belongs to the k-th image-caption pair.

    regions      (batch, n_regions, region_dim) float32, zero behind the valid ones
    region_mask  (batch, n_regions) bool, True where a region is valid; at least one per row
    boxes        (batch, n_regions, 4) float32, x0 y0 x1 y1 in 0..1, or None where the data has none
    tokens       (batch, n_words) int64, 0 = padding
    token_mask   (batch, n_words) bool, True where a word is valid; at least one per row
    image_ids    (batch,) int64, row of the image in its split; equal ids are never negatives of each other
    """

    regions: Tensor
    region_mask: Tensor
    boxes: Tensor | None
    tokens: Tensor
    token_mask: Tensor
    image_ids: Tensor

    def to(self, device: torch.device | str) -> Batch:
        """The same batch with every tensor on `device`; the host keeps what decides shapes (lgsf.data.batches.host)."""
        moved = {k: v.to(device, non_blocking=True) for k, v in vars(self).items() if v is not None}
        for name in ("region_mask", "token_mask", "image_ids"):
            remember(moved[name], on_host(getattr(self, name)))
        return replace(self, **moved)

    def pinned(self) -> Batch:
        """The same batch with every tensor in page-locked memory, from which copies to a GPU need not wait."""
        return replace(self, **{k: v.pin_memory() for k, v in vars(self).items() if v is not None})
