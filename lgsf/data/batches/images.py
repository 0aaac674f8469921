"""The images of batches, read from the disk when they are needed: memory stays at a few batches."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lgsf.data.batches import augment
from lgsf.data.batches.batch import Batch
from lgsf.data.batches.buffers import Buffers
from lgsf.data.layout import Split

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
READ_AHEAD = 2  # batches that wait for the trainer


class Images(Protocol):
    """Where the regions of a batch come from: `read` beside the trainer, in threads; `finish` on its device."""

    def read(self, images: Ints, keep: Bools) -> tuple[Tensor, Tensor, Tensor | None]:
        """What stands for the kept (n, n_regions) bool regions of `images`; their mask; what stands for their boxes."""
        ...

    def finish(self, batch: Batch) -> Batch:
        """The batch with its regions and boxes, once what `read` gave is on the device."""
        ...


class ReadImages:
    """Reads the images of batches of up to `size` for `workers` threads, into page-locked memory where it is `pinned`."""

    def __init__(self, split: Split, size: int, workers: int, *, pinned: bool = False) -> None:
        self._regions, self._boxes = split.regions, split.boxes
        # Those that wait and are being made, the one in use, and the one that the consumer is about to drop; those
        # that are on their way to a device are held until they are there.
        most = READ_AHEAD + workers + 2 + 2 * pinned
        self.buffers = Buffers(size * math.prod(split.regions.shape[1:]), most, pinned=pinned)

    def read(self, images: Ints, keep: Bools) -> tuple[Tensor, Tensor, Tensor | None]:
        """The kept regions of `images` closed up to the left, trimmed to the longest; their mask; their boxes."""
        row, source, target, mask = augment.pack_left(keep)
        regions = self.buffers.take((*mask.shape, self._regions.shape[2]))
        self._regions.read_kept(regions, images, keep, cast=_cast)
        boxes = None
        if self._boxes is not None:
            packed = np.zeros((*mask.shape, self._boxes.shape[2]), np.float32)
            packed[row, target] = self._boxes.read(images)[row, source]
            boxes = torch.from_numpy(packed)
        return torch.from_numpy(regions), torch.from_numpy(mask), boxes

    def finish(self, batch: Batch) -> Batch:
        return batch


def valid_regions(split: Split, images: Ints) -> Bools:
    """(len(images), n_regions) bool: which regions there are."""
    return np.arange(split.regions.shape[1]) < split.region_counts[images][:, None]


def _cast(into: npt.NDArray[np.float32], values: npt.NDArray[Any]) -> None:
    """numpy.copyto by torch, which is five times as fast from float16."""
    torch.from_numpy(into).copy_(torch.from_numpy(values))
