"""The features of one image, and what every format of features can be asked."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lgsf.system.errors import LgsfError

AGAIN = "copy or extract it again"
SLACK = 1.0  # pixels that a box may reach beyond its image: detectors round


@dataclass(frozen=True)
class Shape:
    """What is known of an image's features without reading them: (n_regions, dim) and their dtype."""

    n_regions: int
    dim: int
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class ImageFeatures:
    """The regions of one image as stored.

    regions  (n_regions, dim) float16 or float32
    boxes    (n_regions, 4) x0 y0 x1 y1, in pixels or in 0..1, or None
    size     width and height in pixels, where the file knows them
    """

    regions: npt.NDArray[Any]
    boxes: npt.NDArray[Any] | None = None
    size: tuple[float, float] | None = None


class FeatureReader(Protocol):
    """A format of features, opened: nothing but the shapes is read before an image is asked for."""

    @property
    def files(self) -> Mapping[str, Path]:
        """Name for the record -> file, of every single file."""
        ...

    @property
    def keys(self) -> Collection[str]:
        """What the images are called here."""
        ...

    @property
    def aliases(self) -> Mapping[str, str]:
        """Image id -> file name of its photo, where the pack brings such a mapping; else empty."""
        ...

    def place(self, key: str) -> str:
        """Where an image's features stand, in words for an error."""
        ...

    def shape(self, key: str) -> Shape:
        """Shape of an image's features; LgsfError where they are no regions."""
        ...

    def read(self, key: str) -> ImageFeatures:
        """The features of an image; LgsfError where they cannot be read."""
        ...


def shape_of(place: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Shape:
    """Check what a file says of an image: (n_regions, dim), or (dim,) for a single vector."""
    if dtype.newbyteorder("=") not in (np.float16, np.float32):
        raise LgsfError(f"{place}: the features have dtype {dtype}; convert them to float32 or float16.")
    if len(shape) not in (1, 2) or 0 in shape:
        raise LgsfError(
            f"{place}: the features have shape {shape}; they must be (regions, dim) or (dim,), none of them 0: "
            "reshape a grid of cells to a list of them."
        )
    return Shape(shape[0] if len(shape) == 2 else 1, shape[-1], dtype.newbyteorder("="))


def filled(place: str, regions: npt.NDArray[Any]) -> int:
    """How many regions there are before those that only pad, which are zero; LgsfError for what cannot be used."""
    if not np.isfinite(regions).all():
        raise LgsfError(f"{place}: the features hold NaN or infinity; {AGAIN}, or remove the image.")
    rows = np.flatnonzero(regions.any(axis=1))
    if not len(rows):
        raise LgsfError(
            f"{place}: the features are all zero, so the image has no region; {AGAIN}, or remove the image."
        )
    return int(rows[-1]) + 1


def unit_boxes(
    place: str, boxes: npt.NDArray[Any], size: tuple[float, float] | None, n_regions: int
) -> npt.NDArray[np.float32]:
    """(n_regions, 4) float32 in 0..1, from pixels of an image of `size`, or as they are if all are within 0..1."""
    if boxes.ndim != 2 or boxes.shape[1] != 4 or len(boxes) < n_regions or boxes.dtype.kind not in "fiu":
        raise LgsfError(
            f"{place}: the boxes have shape {boxes.shape} and dtype {boxes.dtype}, which is not x0 y0 x1 y1 for "
            f"{n_regions} regions; {AGAIN}, or set features.boxes to false."
        )
    values = boxes[:n_regions].astype(np.float64)
    if not np.isfinite(values).all():
        raise LgsfError(f"{place}: the boxes hold NaN or infinity; {AGAIN}, or set features.boxes to false.")
    if values.max() > 1:
        if size is None:
            raise LgsfError(
                f"{place}: the boxes are in pixels, and neither the features nor the annotations tell the size of the "
                "image; take COCO's captions JSON as annotations, or set features.boxes to false."
            )
        limits = np.array([*size, *size], np.float64)
        if (values < -SLACK).any() or (values > limits + SLACK).any():
            raise LgsfError(
                f"{place}: a box reaches beyond the image of {size[0]:g} x {size[1]:g} pixels; boxes are x0 y0 x1 y1 "
                f"in pixels of the original image: {AGAIN}, or set features.boxes to false."
            )
        values = values.clip(0, limits) / limits
    elif values.min() < 0:
        raise LgsfError(f"{place}: a box has coordinates below 0; {AGAIN}, or set features.boxes to false.")
    if (values[:, :2] > values[:, 2:]).any():
        raise LgsfError(
            f"{place}: a box ends before it begins; boxes are x0 y0 x1 y1, not x y width height: convert them, or set "
            "features.boxes to false."
        )
    return values.astype(np.float32)


def named(files: Iterator[Path] | Collection[Path]) -> dict[str, Path]:
    """Files by their names, with as much of the folders before it as it takes to tell them apart."""
    unique = list(dict.fromkeys(files))
    depth = 1
    while len({"/".join(path.parts[-depth:]) for path in unique}) < len(unique):
        depth += 1
    return {"/".join(path.parts[-depth:]): path for path in unique}
