"""Regions into what is stored, and how much of them is lost by it (the way back: lgsf.data.store.regions.decode)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lgsf.data.source import Store
from lgsf.data.store.regions import decode
from lgsf.system.errors import LgsfError

Floats = npt.NDArray[np.float32]
LARGEST = 127  # of an int8 number; -128 has no positive twin and stays unused


def stored_dtype(store: Store, source: npt.DTypeLike) -> np.dtype[Any]:
    """Type of `regions.npy` for features of the type `source`."""
    return np.dtype(source if store == "as_is" else store)


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

    The relative error of a region is the length of the difference over the length of the region.
    """

    split: str
    store: Store
    _sum: float = field(default=0.0, init=False)
    _largest: float = field(default=0.0, init=False)
    _regions: int = field(default=0, init=False)

    def add(
        self, given: npt.NDArray[Any], stored: npt.NDArray[Any], scales: Floats | None, counts: npt.NDArray[Any]
    ) -> None:
        """Compare a block; LgsfError where float16 cannot hold a number."""
        if self.store == "as_is":
            return
        found = np.empty(stored.shape, np.float32)
        decode(found, stored, scales)
        if not np.isfinite(found).all():
            raise LgsfError(
                f"split {self.split}: the features reach {np.abs(given).max():.3g} and float16 ends at 65504; "
                "set store of this dataset to int8 or as_is."
            )
        values = given.astype(np.float32, copy=False)
        difference, length = (np.sqrt(np.square(v, dtype=np.float64).sum(axis=2)) for v in (found - values, values))
        valid = (np.arange(stored.shape[1]) < counts[:, None]) & (length > 0)
        errors = difference[valid] / length[valid]
        self._sum += float(errors.sum())
        self._largest = max(self._largest, float(errors.max(initial=0.0)))
        self._regions += len(errors)

    def facts(self) -> dict[str, Any]:
        """For the manifest; nothing where everything is stored as it came."""
        if self.store == "as_is":
            return {}
        mean = self._sum / max(1, self._regions)
        return {"store": {"kind": self.store, "mean_relative_error": mean, "largest_relative_error": self._largest}}
