"""Batches of an opened split: shuffled and augmented for training, in file order for encoding.

Rows are read when they are needed (lgsf.data.batches.images), so memory stays at a few batches however large the split
is; on a GPU that has room for them the features stay there (lgsf.data.batches.resident). Threads work ahead, each at a
batch of its own; there are no worker processes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor

from lgsf.data.batches import augment
from lgsf.data.batches.ahead import on_device
from lgsf.data.batches.batch import Batch
from lgsf.data.batches.groups import image_groups, together
from lgsf.data.batches.images import READ_AHEAD, Bools, Images, Ints, ReadImages, valid_regions
from lgsf.data.batches.prefetch import in_order
from lgsf.data.batches.resident import resident_images
from lgsf.data.layout import Split
from lgsf.data.text import PAD, Tokenizer
from lgsf.data.tokens import encoded_captions
from lgsf.system.errors import LgsfError

CPU = torch.device("cpu")


class TrainingBatches:
    """The training captions of a split, shuffled and augmented anew in every epoch.

    A sample is a caption with its image, as in VSE++ and its successors; an epoch takes every caption once
    and drops the incomplete last batch. Everything random is a function of (seed, epoch, caption row).
    `region_drop` and `word_drop` are the chances of the size augmentation (lgsf.data.batches.augment). With
    `length_buckets` above 0 that many batches at a time are made up of captions of like length. `group` is a column of
    the images: those of one group come into a batch together (lgsf.data.batches.groups). `workers` is the number of
    threads that make batches, `device` is where they end up; neither changes a bit of them. With `share` = (k, n) what is
    handed out is the k-th of n equal parts of every batch, whose size n divides.
    """

    def __init__(
        self,
        split: Split,
        tokenizer: Tokenizer,
        *,
        batch_size: int,
        seed: int,
        region_drop: float = 0.0,
        word_drop: float = 0.0,
        length_buckets: int = 0,
        group: str | None = None,
        workers: int = 1,
        device: torch.device = CPU,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self.split = split
        self.batch_size = batch_size
        self.seed = seed
        self.region_drop = region_drop
        self.word_drop = word_drop
        self.length_buckets = length_buckets
        self.workers, self.device = workers, device
        part, parts = share
        self._own = slice(part * batch_size // parts, (part + 1) * batch_size // parts)
        self._groups = None if group is None else image_groups(split, group)
        self._mask, self._ordinary = tokenizer.mask, tokenizer.ordinary
        self._caption_image = split.caption_image
        self._captions = encoded_captions(split, tokenizer)
        if len(self) == 0:
            raise LgsfError(
                f"training.batch_size is {batch_size} and split {split.name} has only {len(self._captions)} "
                "captions; choose a smaller batch_size."
            )
        self._pinned = device.type == "cuda"
        self._images: Images = resident_images(split, device) or ReadImages(
            split, batch_size // parts, workers, pinned=self._pinned
        )

    def __len__(self) -> int:
        """Steps per epoch."""
        return len(self._captions) // self.batch_size

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of epoch number `epoch`, or the shares of them; the same number gives the same batches, bit for bit."""
        random = np.random.default_rng((self.seed, epoch))
        order = random.permutation(len(self._captions))
        if self._groups is not None:
            order = together(order, self._caption_image, self._groups)
        order = order[: len(self) * self.batch_size]
        if self.length_buckets:
            order = bucketed(order, self._captions.lengths, self.batch_size, self.length_buckets, random)
        steps = np.split(order, len(self))
        made = in_order([partial(self._batch, epoch, rows[self._own]) for rows in steps], READ_AHEAD, self.workers)
        return on_device(made, self.device, lambda batch: self._images.finish(batch.to(self.device)))

    def _batch(self, epoch: int, rows: Ints) -> Batch:
        images = self._caption_image[rows]
        keep = valid_regions(self.split, images)
        if self.region_drop > 0:
            draws = augment.uniforms(self.seed, epoch, augment.REGION_STREAM, rows, keep.shape[1])
            keep = augment.kept_regions(keep, draws, self.region_drop)
        regions, region_mask, boxes = self._images.read(images, keep)
        tokens, token_mask = self._captions.padded(rows)
        if self.word_drop > 0:
            tokens, token_mask = self._augmented(epoch, rows, tokens, token_mask)
        batch = Batch(
            regions=regions,
            region_mask=region_mask,
            boxes=boxes,
            tokens=torch.from_numpy(tokens),
            token_mask=torch.from_numpy(token_mask),
            image_ids=torch.from_numpy(images),
        )
        return batch.pinned() if self._pinned else batch

    def _augmented(
        self,
        epoch: int,
        rows: Ints,
        tokens: Ints,
        mask: Bools,
    ) -> tuple[Ints, Bools]:
        draws, replacements = (
            augment.uniforms(self.seed, epoch, stream, rows, tokens.shape[1])
            for stream in (augment.WORD_STREAM, augment.REPLACEMENT_STREAM)
        )
        draws = np.take_along_axis(draws, self._captions.word_numbers(rows), axis=1)
        columns = np.arange(tokens.shape[1])
        real = mask & (columns > 0) & (columns < mask.sum(axis=1, keepdims=True) - 1)  # without the frame
        tokens, deleted = augment.augment_words(
            tokens, real, draws, replacements, self.word_drop, mask=self._mask, ordinary=self._ordinary
        )
        row, source, target, shorter = augment.pack_left(mask & ~deleted)
        packed = np.full(shorter.shape, PAD, np.int64)
        packed[row, target] = tokens[row, source]
        return packed, shorter


def image_batches(split: Split, size: int, *, pinned: bool = False) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """(regions, mask, boxes or None) of `size` images at a time in file order; the last batch may be smaller.

    Shapes and dtypes as in lgsf.models.base.Batch. The batches depend on the split and `size` alone; `pinned` regions
    are in page-locked memory, from which they can be sent to a GPU ahead.
    """

    images = ReadImages(split, size, 1, pinned=pinned)

    def batch(start: int) -> tuple[Tensor, Tensor, Tensor | None]:
        rows = np.arange(start, min(start + size, len(split.regions)))
        return images.read(rows, valid_regions(split, rows))

    return in_order([partial(batch, start) for start in range(0, len(split.regions), size)], READ_AHEAD, 1)


def bucketed(order: Ints, lengths: Ints, size: int, window: int, random: np.random.Generator) -> Ints:
    """`order` where captions of like length share a batch: little padding, hardly less chance.

    Every stretch of `window` batches of `size` is sorted by length and its batches are shuffled by `random`, so
    a caption stays within its stretch and no epoch goes from short to long.
    """
    out = []
    for start in range(0, len(order), window * size):
        stretch = order[start : start + window * size]
        batches = stretch[np.argsort(lengths[stretch], kind="stable")].reshape(-1, size)
        out.append(batches[random.permutation(len(batches))].reshape(-1))
    return np.concatenate(out)


def text_batches(
    split: Split, tokenizer: Tokenizer, size: int, *, by_length: bool = False, long: int | None = None
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """(tokens, mask, rows) of `size` captions at a time; the last batch may be smaller.

    The captions come in file order or, `by_length`, from the shortest to the longest; `rows` (n,) int64 says where
    each stands in the file. Captions of more than `long` tokens come last, in batches of no more than size * long
    tokens: one of them would have all others of its batch padded to its length.
    """
    captions = encoded_captions(split, tokenizer)
    lengths = captions.lengths
    order = np.argsort(lengths, kind="stable") if by_length else np.arange(len(captions))
    apart = lengths[order] > (long or lengths.max(initial=0))
    usual, rest = order[~apart], order[apart][np.argsort(lengths[order[apart]], kind="stable")[::-1]]
    batches = [usual[start : start + size] for start in range(0, len(usual), size)]
    while len(rest):
        own = max(1, size * (long or 1) // int(lengths[rest[0]]))
        batches.append(rest[:own])
        rest = rest[own:]
    for rows in batches:
        tokens, mask = captions.padded(rows)
        yield torch.from_numpy(tokens), torch.from_numpy(mask), torch.from_numpy(rows)
