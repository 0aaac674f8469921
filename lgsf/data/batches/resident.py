"""The features of a split on the device, where they fit: batches are then gathered there, and no feature is read twice.

They stay in the form in which they are stored - float32, float16, or int8 with a scale for each region - so a batch has
the bits that it has when it is read (lgsf.data.store.regions.decode). Whether they fit changes no number, so a run may
be resumed on a device with more or less memory. Features that are too large as they are can be stored smaller: `store`
of a dataset, whose loss is measured and noted when it is prepared.
"""

from __future__ import annotations

import logging
import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from lgsf.data.batches import augment
from lgsf.data.batches.batch import Batch
from lgsf.data.batches.images import Bools, Ints
from lgsf.data.layout import Split

logger = logging.getLogger(__name__)
SHARE = 0.6  # of the free memory that features may take; the rest is for the model, its optimizer and its steps
BLOCK = 256  # images that are read at once while the table is filled
GIB = 2**30


class ResidentImages:
    """The regions and boxes of a split as tables on `device`, one region a row, and a last row of zeros for padding."""

    def __init__(self, split: Split, device: torch.device) -> None:
        n, self._width, dim = split.regions.shape
        self._zero = n * self._width
        stored, scales = split.regions.stored(np.arange(0))
        kind = torch.from_numpy(stored).dtype
        self._table = torch.zeros((self._zero + 1, dim), dtype=kind, device=device)
        self._scales = None if scales is None else torch.zeros(self._zero + 1, device=device)
        self._boxes = None if split.boxes is None else torch.zeros((self._zero + 1, 4), device=device)
        for first in range(0, n, BLOCK):
            images = np.arange(first, min(first + BLOCK, n))
            rows = slice(first * self._width, (first + len(images)) * self._width)
            stored, scales = split.regions.stored(images)
            self._table[rows].copy_(torch.from_numpy(stored).view(-1, dim))
            if self._scales is not None and scales is not None:
                self._scales[rows].copy_(torch.from_numpy(scales).view(-1))
            if self._boxes is not None and split.boxes is not None:
                self._boxes[rows].copy_(torch.from_numpy(split.boxes.read(images)).view(-1, 4))

    def read(self, images: Ints, keep: Bools) -> tuple[Tensor, Tensor, Tensor | None]:
        """(n, longest) int64 rows of the table in the place of the regions; the mask; None: `finish` gathers."""
        row, source, target, mask = augment.pack_left(keep)
        places = np.full(mask.shape, self._zero, np.int64)
        places[row, target] = images[row] * self._width + source
        return torch.from_numpy(places), torch.from_numpy(mask), None

    def finish(self, batch: Batch) -> Batch:
        """The batch with the regions and boxes that its `regions`, places in the table, stand for."""
        places = batch.regions.reshape(-1)
        regions = self._table.index_select(0, places).float()
        if self._scales is not None:
            regions.mul_(self._scales.index_select(0, places)[:, None])
        shape = batch.regions.shape
        boxes = None if self._boxes is None else self._boxes.index_select(0, places).view(*shape, 4)
        return replace(batch, regions=regions.view(*shape, -1), boxes=boxes)


def resident_images(split: Split, device: torch.device) -> ResidentImages | None:
    """The split's features on `device` if they take no more than SHARE of its free memory; the log says which and why."""
    free = free_memory(device)
    if not free:
        return None
    needed = table_bytes(split)
    what = f"features of {split.name}, {' x '.join(map(str, split.regions.shape))} {split.regions.stored_dtype}"
    try:
        if needed <= SHARE * free:
            found = ResidentImages(split, device)
            logger.info("%s, stay on %s: %.1f of %.1f GiB that are free", what, device, needed / GIB, free / GIB)
            return found
        why = f"take {needed / GIB:.1f} GiB and may take {SHARE:.0%} of the {free / GIB:.1f} GiB that are free on {device}"
    except torch.OutOfMemoryError:
        why = f"take {needed / GIB:.1f} GiB, which {device} no longer has"
    small = math.prod(split.regions.shape) + 4 * math.prod(split.regions.shape[:2])
    hint = f"; with `store: int8` they would take {small / GIB:.1f} GiB" if small <= SHARE * free < needed else ""
    logger.info("%s, %s: batches are read from the disk and sent one step ahead%s", what, why, hint)
    return None


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a GPU; 0 on a CPU, where the system keeps files in memory by itself."""
    return int(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else 0


def table_bytes(split: Split) -> int:
    """Bytes of the tables of a split."""
    regions = math.prod(split.regions.shape[:2])
    scales, boxes = 4 * (split.regions.stored_dtype == np.int8), 16 * (split.boxes is not None)
    return (regions + 1) * (split.regions.shape[2] * split.regions.stored_dtype.itemsize + scales + boxes)
