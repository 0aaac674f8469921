"""From a split to its score matrix: encode in fixed batches, compare in fixed tiles, in bounded memory.

Floating-point sums depend in the last digit on the shape of a matrix product. So shapes never follow the
memory budget: batches and tiles have one size, the last ones are filled up, and the budget only decides
whether the tiles are kept or computed again on the second walk. Captions of unusual length are encoded and compared
apart from the others (lgsf.models.ragged): memory follows what the captions hold, not the longest of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch

from lgsf.data.batches.ahead import on_device
from lgsf.data.batches.training import image_batches, text_batches
from lgsf.data.layout import Split
from lgsf.data.text import Vocabulary
from lgsf.metrics.ranking import Floats
from lgsf.models.base import Encoded, Method
from lgsf.models.ragged import LONG, Ragged, gather, tiles

IMAGE_BATCH, TEXT_BATCH = 128, 256
IMAGE_TILE, TEXT_TILE = 128, 1024


@torch.inference_mode()
def encode_split(
    method: Method, split: Split, vocabulary: Vocabulary, *, device: torch.device
) -> tuple[Encoded, Encoded | Ragged]:
    """All images and all captions of a split in file order, in evaluation mode; results stay on `device`."""
    was_training = method.training
    method.eval()
    try:
        made = image_batches(split, IMAGE_BATCH, pinned=device.type == "cuda")
        images = [method.encode_images(*parts) for parts in on_device(made, device, partial(_sent, device))]
        tokenizer, by_length = method.tokenizer(vocabulary), method.pads_captions
        texts, rows = [], []
        for tokens, mask, places in text_batches(split, tokenizer, TEXT_BATCH, by_length=by_length, long=LONG):
            texts.append(method.encode_texts(tokens.to(device), mask.to(device)))
            rows.append(places)
    finally:
        method.train(was_training)
    return Encoded.concatenate(images), gather(texts, rows)


def _sent(
    device: torch.device, parts: tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    regions, mask, boxes = parts
    move = partial(torch.Tensor.to, device=device, non_blocking=True)
    return move(regions), move(mask), None if boxes is None else move(boxes)


class _Walked:
    """Scores that are made row of tiles by row of tiles (lgsf.metrics.ranking.Scores).

    memory_mb  rows of tiles are kept after the first walk while the whole matrix fits into this
    """

    memory_mb: int
    _kept: list[tuple[int, Floats]]

    @property
    def shape(self) -> tuple[int, int]:
        raise NotImplementedError

    def row(self, first: int) -> Floats:
        """Scores (up to IMAGE_TILE, n_texts) float32 of the images from `first` on."""
        raise NotImplementedError

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        if self._kept:
            yield from self._kept
            return
        keep = self.shape[0] * self.shape[1] * 4 <= self.memory_mb * 2**20
        kept = []
        for first in range(0, self.shape[0], IMAGE_TILE):
            block = (first, self.row(first))
            if keep:
                kept.append(block)
            yield block
        self._kept = kept


@dataclass
class TiledScores(_Walked):
    """The scores of encoded images and texts, tile by tile."""

    method: Method
    images: Encoded
    texts: Encoded | Ragged
    memory_mb: int = 512
    _kept: list[tuple[int, Floats]] = field(default_factory=list, repr=False)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.images), len(self.texts)

    @torch.inference_mode()
    def row(self, first: int) -> Floats:
        rows = _tile(first, IMAGE_TILE, len(self.images))
        images = self.images.select(rows)
        out = np.empty((min(IMAGE_TILE, len(self.images) - first), len(self.texts)), np.float32)
        for columns, width in tiles(self.texts, TEXT_TILE):
            tile = self.method.similarity(images, self.texts.select(columns))
            out[:, columns[:width].numpy()] = tile[: len(out), :width].float().cpu().numpy()
        return out


@dataclass
class MeanScores(_Walked):
    """The mean of several score matrices of one shape, as SCAN and SGRAF make their ensembles.

    The scores are averaged as they are, not scaled to each other. What is kept is the mean; a member's row is
    gone before the next one is made.
    """

    members: Sequence[TiledScores]
    memory_mb: int = 512
    _kept: list[tuple[int, Floats]] = field(default_factory=list, repr=False)

    @property
    def shape(self) -> tuple[int, int]:
        return self.members[0].shape

    def row(self, first: int) -> Floats:
        total = self.members[0].row(first).astype(np.float64)  # the order of members changes nothing
        for member in self.members[1:]:
            total += member.row(first)
        return (total / len(self.members)).astype(np.float32)


def _tile(first: int, size: int, total: int) -> torch.Tensor:
    """Row numbers of one tile; a tile over the end is filled with the last row."""
    return torch.arange(first, first + size).clamp_(max=total - 1)
