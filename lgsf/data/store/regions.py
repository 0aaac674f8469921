"""The regions of a split as numbers, however they are stored: the one reader of training, scoring and explanations.

`regions.npy` is float32 or float16 and read as it is, or int8: then region r of image i is
`regions[i, r] * region_scales[i, r]` in float32, one rounding, so every reader gets the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lgsf.data.store.rows import RowReader
from lgsf.system.errors import LgsfError

Images = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.float32]
Cast = Callable[[Floats, npt.NDArray[Any]], object]  # (into, from): copy into an array of another type
REMEDY = "prepare the dataset again"


def decode(into: Floats, stored: npt.NDArray[Any], scales: Floats | None, cast: Cast = np.copyto) -> None:
    """What `stored` (..., dim) stands for, into `into` of the same shape; `scales` (...,) are those of int8."""
    cast(into, stored)
    if scales is not None:
        np.multiply(into, scales[..., None], out=into)


class RegionReader:
    """Regions of the images of a split folder.

    path   the file regions.npy
    shape  (n_images, n_regions, dim)
    dtype  of what `read` returns: float16 or float32
    stored_dtype  of the file: float16, float32 or int8
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "regions.npy"
        self._rows = RowReader(self.path, remedy=REMEDY)
        self.shape, self.dtype = self._rows.shape, self._rows.dtype
        self.stored_dtype = self._rows.dtype
        self._scales: RowReader | None = None
        if len(self.shape) != 3:
            raise LgsfError(f"{self.path} has shape {self.shape}, not (images, regions, dim): {REMEDY}.")
        if self.dtype == np.int8:
            self.dtype = np.dtype(np.float32)
            self._scales = RowReader(folder / "region_scales.npy", remedy=REMEDY)
            if self._scales.shape != self.shape[:2] or self._scales.dtype != np.float32:
                raise LgsfError(
                    f"{self._scales.path} has shape {self._scales.shape} and dtype {self._scales.dtype}, not "
                    f"{self.shape[:2]} and float32 as regions.npy beside it needs: {REMEDY}."
                )
        elif self.dtype not in (np.float16, np.float32):
            raise LgsfError(f"{self.path} has dtype {self.dtype}, not float32, float16 or int8: {REMEDY}.")

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, images: Images) -> npt.NDArray[Any]:
        """(len(images), n_regions, dim) in the given order."""
        stored = self._rows.read(images)
        if self._scales is None:
            return stored
        values = np.empty(stored.shape, np.float32)
        decode(values, stored, self._scales.read(images))
        return values

    def stored(self, images: Images) -> tuple[npt.NDArray[Any], Floats | None]:
        """What the files hold of `images`: (n, n_regions, dim) and, of int8, the scales (n, n_regions) float32."""
        return self._rows.read(images), None if self._scales is None else self._scales.read(images)

    def read_kept(self, into: Floats, images: Images, keep: npt.NDArray[np.bool_], cast: Cast = np.copyto) -> None:
        """The kept regions of `images`, closed up to the left and zero behind them, into `into` (n, longest, dim).

        keep  (n, n_regions) bool, at most `longest` True in a row
        cast  how numbers become float32; numpy's is slow for float16

        One call of the system for each image, in the order of the file, puts every stretch of kept regions where it
        belongs; what is dropped between them goes into a buffer that stays in the cache of the processor. Stored as
        float32, a number passes through memory once.
        """
        self._rows.announce(images)
        scales = None if self._scales is None else self._scales.read(images)
        dtype = self._rows.dtype
        region_bytes, direct, longest = self.shape[2] * dtype.itemsize, self._rows.dtype == np.float32, into.shape[1]
        dropped = memoryview(bytearray(self.shape[1] * region_bytes))
        stage = np.empty((longest, self.shape[2]), dtype)  # of one image, where it has to be decoded
        target = _bytes(into) if direct else _bytes(stage)
        counts, rows, stretches = keep.sum(axis=1).tolist(), images.tolist(), _stretches(keep)
        for place in np.argsort(images, kind="stable").tolist():
            count, at, first = counts[place], None, 0
            write = place * longest * region_bytes if direct else 0
            buffers: list[memoryview] = []
            for start, stop in stretches[place]:
                if at is None:
                    first = start
                elif start > at:
                    buffers.append(dropped[: (start - at) * region_bytes])
                size = (stop - start) * region_bytes
                buffers.append(target[write : write + size])
                write, at = write + size, stop
            if buffers:
                self._rows.read_into(buffers, rows[place], skip=first * region_bytes)
            if not direct:
                own = None if scales is None else scales[place, keep[place]]
                decode(into[place, :count], stage[:count], own, cast)
            if count < longest:
                into[place, count:] = 0.0


def _bytes(array: npt.NDArray[Any]) -> memoryview:
    return memoryview(array.reshape(-1).view(np.uint8).data)


def _stretches(keep: npt.NDArray[np.bool_]) -> list[list[tuple[int, int]]]:
    """Of each row of `keep` (n, width), the stretches of True as (first, behind the last)."""
    framed = np.zeros((len(keep), keep.shape[1] + 2), np.int8)
    framed[:, 1:-1] = keep
    steps = np.diff(framed, axis=1)
    rows, starts = np.nonzero(steps == 1)
    stops = np.nonzero(steps == -1)[1]
    pairs = list(zip(starts.tolist(), stops.tolist(), strict=True))
    bounds = np.searchsorted(rows, np.arange(len(keep) + 1)).tolist()
    return [pairs[bounds[row] : bounds[row + 1]] for row in range(len(keep))]
