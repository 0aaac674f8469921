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
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "regions.npy"
        self._rows = RowReader(self.path, remedy=REMEDY)
        self.shape, self.dtype = self._rows.shape, self._rows.dtype
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

    def read_kept(self, into: Floats, images: Images, keep: npt.NDArray[np.bool_], cast: Cast = np.copyto) -> None:
        """The kept regions of `images`, closed up to the left and zero behind them, into `into` (n, longest, dim).

        keep  (n, n_regions) bool, at most `longest` True in a row
        cast  how numbers become float32; numpy's is slow for float16

        Image by image: what is read stays in the cache of the processor and passes through memory once.
        """
        self._rows.announce(images)
        scales = None if self._scales is None else self._scales.read(images)
        whole = np.empty(self.shape[1:], self._rows.dtype)
        buffer = memoryview(whole.reshape(-1).view(np.uint8).data)
        counts = keep.sum(axis=1).tolist()
        regions = np.nonzero(keep)[1]  # of all images, one after the other
        direct, longest, start = whole.dtype == np.float32, into.shape[1], 0
        for place, (image, count) in enumerate(zip(images.tolist(), counts, strict=True)):
            target, kept = into[place, :count], regions[start : start + count]
            start += count
            if direct and count == len(whole):
                self._rows.read_into(memoryview(target.reshape(-1).view(np.uint8).data), image)
                continue
            self._rows.read_into(buffer, image)
            if direct:
                np.take(whole, kept, axis=0, out=target, mode="clip")
            else:
                decode(target, whole[kept], None if scales is None else scales[place, kept], cast)
            if count < longest:
                into[place, count:] = 0.0
