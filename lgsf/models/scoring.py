"""From a split to its score matrix: encode in fixed batches, compare in fixed tiles, in bounded memory.

Floating-point sums depend in the last digit on the shape of a matrix product. So shapes never follow the
memory budget: batches and tiles have one size, the last ones are filled up, and the budget only decides
whether the tiles are kept or computed again on the second walk. Captions of unusual length are encoded and compared
apart from the others (lgsf.models.ragged): memory follows what the captions hold, not the longest of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch

from lgsf.data.batches.ahead import on_device
from lgsf.data.batches.training import image_batches, text_batches
from lgsf.data.layout import Split
from lgsf.data.text import Vocabulary
from lgsf.metrics.counting import Counter, Counts, Floats, Ints, Queries
from lgsf.models.base import Encoded, Method
from lgsf.models.counting import DeviceCounts
from lgsf.models.ragged import LONG, Ragged, collected, tiles
from lgsf.system.logs import Pace

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
        sent = on_device(made, device, partial(_sent, device))
        images = Encoded.concatenate([method.encode_images(*parts) for parts in sent])
        texts = collected(_texts(method, split, vocabulary, device), len(split.captions))
    finally:
        method.train(was_training)
    return images, texts


def _texts(
    method: Method, split: Split, vocabulary: Vocabulary, device: torch.device
) -> Iterator[tuple[Encoded, torch.Tensor]]:
    """Encoded captions and their rows, batch by batch."""
    tokenizer, by_length = method.tokenizer(vocabulary), method.pads_captions
    batches = text_batches(split, tokenizer, TEXT_BATCH, by_length=by_length, long=LONG)
    pace, done = Pace("encoding", len(split.captions), "captions"), 0
    for tokens, mask, places in batches:
        pace.at(done)
        yield method.encode_texts(tokens.to(device), mask.to(device)), places
        done += len(places)


def _sent(
    device: torch.device, parts: tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    regions, mask, boxes = parts
    move = partial(torch.Tensor.to, device=device, non_blocking=True)
    return move(regions), move(mask), None if boxes is None else move(boxes)


class _Walked:
    """Scores that are made row of tiles by row of tiles (lgsf.metrics.ranking.DirectScores).

    memory_mb  rows of tiles are kept after the first walk while the whole matrix fits into this
    """

    memory_mb: int
    _kept: list[tuple[int, torch.Tensor]]

    @property
    def shape(self) -> tuple[int, int]:
        raise NotImplementedError

    @property
    def device(self) -> torch.device:
        """Where rows are made, and counted."""
        raise NotImplementedError

    def row(self, first: int) -> torch.Tensor:
        """Scores (up to IMAGE_TILE, n_texts) float32 of the images from `first` on."""
        raise NotImplementedError

    def some(self, images: Ints, captions: Ints) -> Floats:
        """The scores (n,) of pairs from those tiles alone in which one lies, bit for bit as they stand in the rows."""
        raise NotImplementedError

    def pairs(self, images: Ints, captions: Ints) -> Floats:
        """The same; from the rows, where these are kept."""
        if not self.keeps:
            return self.some(images, captions)
        found = np.zeros(len(images), np.float32)
        for first, block in self._rows():
            here = np.flatnonzero((images >= first) & (images < first + len(block)))
            found[here] = _at(block, images[here] - first, captions[here])
        return found

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        for first, block in self._rows():
            yield first, block.cpu().numpy()

    def walk(self) -> Iterator[tuple[int, Any]]:
        return self.blocks() if self.device.type == "cpu" else self._rows()

    def counter(self, queries: Queries, own: Floats, top: int) -> Counter:
        return Counts(queries, own, top) if self.device.type == "cpu" else DeviceCounts(queries, own, top, self.device)

    @property
    def keeps(self) -> bool:
        """Whether the whole matrix fits into the memory that it may take."""
        return self.shape[0] * self.shape[1] * 4 <= self.memory_mb * 2**20

    def _rows(self) -> Iterator[tuple[int, torch.Tensor]]:
        if self._kept:
            yield from self._kept
            return
        kept = []
        for first in range(0, self.shape[0], IMAGE_TILE):
            block = (first, self.row(first))
            if self.keeps:
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
    _kept: list[tuple[int, torch.Tensor]] = field(default_factory=list, repr=False)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.images), len(self.texts)

    @property
    def device(self) -> torch.device:
        found = self.images.fragments if self.images.vector is None else self.images.vector
        assert found is not None
        return found.device

    @cached_property
    def _tiles(self) -> list[tuple[torch.Tensor, slice | torch.Tensor]]:
        """Of each tile of captions, its rows, and where those that count stand in a row of the matrix."""
        out: list[tuple[torch.Tensor, slice | torch.Tensor]] = []
        for columns, width in tiles(self.texts, TEXT_TILE):
            own = columns[:width]
            together = bool((own.diff() == 1).all())
            first = int(own[0])
            out.append((columns.to(self.device), slice(first, first + width) if together else own.to(self.device)))
        return out

    @torch.inference_mode()
    def row(self, first: int) -> torch.Tensor:
        images = self.images.select(self._tile(first))
        out = torch.empty((min(IMAGE_TILE, len(self.images) - first), len(self.texts)), device=self.device)
        for columns, places in self._tiles:
            tile = self.method.similarity(images, self.texts.select(columns))
            width = places.stop - places.start if isinstance(places, slice) else len(places)
            out[:, places] = tile[: len(out), :width].float()
        return out

    @torch.inference_mode()
    def some(self, images: Ints, captions: Ints) -> Floats:
        found = np.zeros(len(images), np.float32)
        tile_of, column_of = np.zeros(len(self.texts), np.int64), np.zeros(len(self.texts), np.int64)
        for number, (_, places) in enumerate(self._tiles):
            at = places if isinstance(places, slice) else places.cpu().numpy()
            tile_of[at], column_of[at] = number, np.arange(len(tile_of[at]))
        tile = images // IMAGE_TILE * len(self._tiles) + tile_of[captions]
        order = np.argsort(tile, kind="stable")
        wanted, starts = np.unique(tile[order], return_index=True)
        pace = Pace("scores of the right pairs", len(wanted), "tiles")
        for done, (number, here) in enumerate(zip(wanted.tolist(), np.split(order, starts[1:]), strict=True)):
            pace.at(done)
            row, column = divmod(number, len(self._tiles))
            rows, texts = self._tile(row * IMAGE_TILE), self.texts.select(self._tiles[column][0])
            scores = self.method.similarity(self.images.select(rows), texts).float()
            found[here] = _at(scores, images[here] - row * IMAGE_TILE, column_of[captions[here]])
        return found

    def _tile(self, first: int) -> torch.Tensor:
        """Row numbers of one tile of images; a tile over the end is filled with the last row."""
        return torch.arange(first, first + IMAGE_TILE, device=self.device).clamp_(max=len(self.images) - 1)


@dataclass
class MeanScores(_Walked):
    """The mean of several score matrices of one shape, as SCAN and SGRAF make their ensembles.

    The scores are averaged as they are, not scaled to each other. What is kept is the mean; a member's row is
    gone before the next one is made.
    """

    members: Sequence[TiledScores]
    memory_mb: int = 512
    _kept: list[tuple[int, torch.Tensor]] = field(default_factory=list, repr=False)

    @property
    def shape(self) -> tuple[int, int]:
        return self.members[0].shape

    @property
    def device(self) -> torch.device:
        return self.members[0].device

    def row(self, first: int) -> torch.Tensor:
        return self._mean(member.row(first).double() for member in self.members)

    def some(self, images: Ints, captions: Ints) -> Floats:
        return self._mean(torch.from_numpy(member.some(images, captions)).double() for member in self.members).numpy()

    def _mean(self, scores: Iterable[torch.Tensor]) -> torch.Tensor:
        """In float64, so that the order of members changes nothing."""
        members = iter(scores)
        total = next(members)
        for other in members:
            total += other
        return (total / len(self.members)).float()


def _at(block: torch.Tensor, rows: Ints, columns: Ints) -> Floats:
    places = (torch.from_numpy(of).to(block.device) for of in (rows, columns))
    values: Floats = block[tuple(places)].cpu().numpy()
    return values
