"""Regions into what is stored, and how much of them is lost by it (the way back: lgsf.data.store.regions.decode)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lgsf.data.source import Store
from lgsf.data.store.regions import decode
from lgsf.system.errors import LgsfError

Floats = npt.NDArray[np.float32]
Plan = dict[str, tuple[tuple[int, ...], np.dtype[Any]]]  # file name -> shape, dtype
LARGEST = 127  # of an int8 number; -128 has no positive twin and stays unused


def stored_arrays(store: Store, shape: tuple[int, int, int], source: npt.DTypeLike, *, boxes: bool) -> Plan:
    """The array files of a split, with shape and dtype, for features of type `source` and shape (images, regions, dim)."""
    kept = np.dtype(source if store == "as_is" else store)
    files: Plan = {"regions.npy": (shape, kept)}
    if kept == np.int8:
        files["region_scales.npy"] = (shape[:2], np.dtype(np.float32))
    if boxes:
        files["boxes.npy"] = ((*shape[:2], 4), np.dtype(np.float32))
    return files


def stored_block(
    store: Store, regions: npt.NDArray[Any], boxes: npt.NDArray[Any] | None
) -> dict[str, npt.NDArray[Any]]:
    """Consecutive rows of the files of `stored_arrays`."""
    kept, scales = encode(store, regions)
    found = {"regions.npy": kept, "region_scales.npy": scales, "boxes.npy": boxes}
    return {file: values for file, values in found.items() if values is not None}


def encode(store: Store, regions: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], Floats | None]:
    """`regions` (n, n_regions, dim) of float as (what is stored, scales (n, n_regions) of int8 or None).

    int8: the largest number of a region becomes +-127 and all others the nearest multiple of the same step, so no
    number is off by more than half a step, 1/254 of the region's largest.
    """
    if store == "as_is":
        return regions, None
    if store == "float16":
        with np.errstate(over="ignore"):
            return regions.astype(np.float16), None
    values = regions.astype(np.float32, copy=False)
    scales = np.abs(values).max(axis=2, initial=0.0) / np.float32(LARGEST)
    steps = np.where(scales > 0, scales, np.float32(1))
    stored = np.clip(np.rint(values / steps[..., None]), -LARGEST, LARGEST).astype(np.int8)
    return stored, scales


@dataclass
class Loss:
    """How far what is stored lies from what the source gave, over the valid regions of a split.

    The relative error of a region is the length of the difference over the length of the region. `total` is the sum
    of those of `regions` regions; parts of a split that are stored apart are joined by `join`.
    """

    split: str
    store: Store
    total: float = 0.0
    largest: float = 0.0
    regions: int = 0

    def add(self, given: npt.NDArray[Any], block: dict[str, npt.NDArray[Any]], counts: npt.NDArray[Any]) -> None:
        """Compare what was given with its `stored_block`; LgsfError where float16 cannot hold a number."""
        if self.store == "as_is":
            return
        stored = block["regions.npy"]
        found = np.empty(stored.shape, np.float32)
        decode(found, stored, block.get("region_scales.npy"))
        if not np.isfinite(found).all():
            raise LgsfError(
                f"split {self.split}: the features reach {np.abs(given).max():.3g} and float16 ends at 65504; "
                "set store of this dataset to int8 or as_is."
            )
        values = given.astype(np.float32, copy=False)
        difference, length = (np.sqrt(np.square(v, dtype=np.float64).sum(axis=2)) for v in (found - values, values))
        valid = (np.arange(stored.shape[1]) < counts[:, None]) & (length > 0)
        errors = difference[valid] / length[valid]
        self.join(float(errors.sum()), float(errors.max(initial=0.0)), len(errors))

    def join(self, total: float, largest: float, regions: int) -> None:
        """Take in what another part of the split lost."""
        self.total += total
        self.largest = max(self.largest, largest)
        self.regions += regions

    def facts(self) -> dict[str, Any]:
        """For the manifest; nothing where everything is stored as it came."""
        if self.store == "as_is":
            return {}
        mean = self.total / max(1, self.regions)
        return {"store": {"kind": self.store, "mean_relative_error": mean, "largest_relative_error": self.largest}}
