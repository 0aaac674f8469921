"""One pass over the features of a split: norms, counts, dead rows and columns, and one short vector per image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lgsf.data.inspection.similar import Floats, mean_features, projection
from lgsf.data.layout import Split

BLOCK_BYTES = 32 << 20


@dataclass
class Measured:
    """Sums of a split's pass.

    projected     (n_images, 64) mean features in the random projection
    dead          images with a valid region that is zero or the same number throughout, and how many such regions
    repeated      regions that are bit for bit another region of their image
    behind        images with features behind their last valid region
    """

    n_images: int
    regions: int = 0
    norm_sum: float = 0.0
    norm_square: float = 0.0
    norm_least: float = np.inf
    norm_most: float = 0.0
    dead: list[int] = field(default_factory=list)
    dead_regions: int = 0
    repeated: int = 0
    behind: list[int] = field(default_factory=list)
    alive_columns: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    projected: Floats = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    mean: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    box_area: float = 0.0
    flat_boxes: int = 0

    def facts(self) -> dict[str, float]:
        """Numbers for people."""
        mean = self.norm_sum / max(self.regions, 1)
        return {
            "norm_mean": mean,
            "norm_deviation": float(np.sqrt(max(self.norm_square / max(self.regions, 1) - mean**2, 0.0))),
            "norm_least": self.norm_least,
            "norm_most": self.norm_most,
            "dead_regions": self.dead_regions,
            "images_with_dead_regions": len(self.dead),
            "repeated_regions": self.repeated,
            "dead_columns": int((~self.alive_columns).sum()),
        }


def measure(split: Split, see: Callable[[npt.NDArray[Any], npt.NDArray[Any]], object]) -> Measured:
    """Read the features of a split once, in blocks, which `see` gets too: (regions, counts)."""
    n, n_regions, dim = split.regions.shape
    out = Measured(n, alive_columns=np.zeros(dim, bool), projected=np.zeros((n, 64), np.float32))
    directions, total = projection(dim), np.zeros(dim, np.float64)
    step = max(1, BLOCK_BYTES // (n_regions * dim * 4))
    for start in range(0, n, step):
        rows = np.arange(start, min(start + step, n))
        counts = split.region_counts[rows]
        stored = split.regions.read(rows)
        see(stored, counts)
        regions = stored.astype(np.float32, copy=False)
        valid = np.arange(n_regions) < counts[:, None]
        _regions(out, regions, valid, rows)
        means = mean_features(regions, counts)
        total += means.sum(axis=0)
        out.projected[rows] = means @ directions
        if split.boxes is not None:
            _boxes(out, split.boxes.read(rows), valid)
    out.mean = (total / max(n, 1)).astype(np.float32)
    return out


def _regions(out: Measured, regions: Floats, valid: npt.NDArray[np.bool_], rows: npt.NDArray[np.int64]) -> None:
    norm = np.sqrt(np.einsum("nrd,nrd->nr", regions, regions, dtype=np.float64))
    out.behind += rows[((norm > 0) & ~valid).any(axis=1)].tolist()
    dead = valid & (regions.max(axis=2) == regions.min(axis=2)) & (regions.shape[2] > 1)
    dead |= valid & (norm == 0)
    out.dead += rows[dead.any(axis=1)].tolist()
    out.dead_regions += int(dead.sum())
    own = norm[valid]
    out.regions += len(own)
    out.norm_sum, out.norm_square = out.norm_sum + float(own.sum()), out.norm_square + float((own**2).sum())
    out.norm_least, out.norm_most = min(out.norm_least, float(own.min())), max(out.norm_most, float(own.max()))
    out.alive_columns |= (regions != 0).any(axis=(0, 1))
    for image, keep in zip(regions, valid & ~dead, strict=True):
        kept = image[keep]
        out.repeated += len(kept) - len({row.tobytes() for row in kept})


def _boxes(out: Measured, boxes: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> None:
    size = (boxes[..., 2:] - boxes[..., :2])[valid].astype(np.float64)
    out.box_area += float(size.prod(axis=1).sum())
    out.flat_boxes += int((size <= 0).any(axis=1).sum())
