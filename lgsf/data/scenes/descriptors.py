"""Fixed descriptors of a region: colour, shape, texture, size and, if wanted, its place in the picture.

Nothing here is learned. `Standardiser` brings every column to mean 0 and standard deviation 1 with
statistics of the training regions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import ConvexHull

from lgsf.data.scenes.regions import COLOURFUL, Region, brightest, darkest, hue

HUES, TONES, DIRECTIONS, ANGLES, HARMONICS = 12, 6, 8, 16, 8
COLOUR = (
    *(f"{statistic}_{channel}" for statistic in ("mean", "sd") for channel in ("red", "green", "blue")),
    *(f"hue_{k}" for k in range(HUES)),
    *(f"tone_{k}" for k in range(TONES)),
    "grey_share",
)
SHAPE = (
    *("extent", "solidity", "hole_share", "aspect", "elongation", "compactness"),
    *("moment_20", "moment_11", "moment_02", "moment_30", "moment_21", "moment_12", "moment_03"),
    *(f"reach_{k}" for k in range(ANGLES)),
    *(f"harmonic_{k}" for k in range(1, HARMONICS + 1)),
)
TEXTURE = (*(f"edge_{k}" for k in range(DIRECTIONS)), "edge_mean", "edge_sd", "dark_share")
SIZE = ("side", "filled_side")
POSITION = ("x0", "y0", "x1", "y1", "centre_x", "centre_y", "width", "height")

_FINEST = 64  # regions larger than this many pixels a side are described on every second, third, ... pixel
_CLIP = 8.0  # standardised values beyond this come from degenerate regions


def columns(*, position: bool) -> tuple[str, ...]:
    """Names of the descriptor's columns; without position the eight place columns are absent."""
    return COLOUR + SHAPE + TEXTURE + SIZE + (POSITION if position else ())


def describe(pixels: npt.NDArray[np.uint8], region: Region, *, position: bool) -> npt.NDArray[np.float32]:
    """(len(columns),) float32 of one region of a (height, width, 3) uint8 picture."""
    x0, y0, x1, y1 = region.box
    height, width = pixels.shape[:2]
    step = -(-max(x1 - x0, y1 - y0) // _FINEST)
    mask = region.mask[::step, ::step]
    if not mask.any():
        step, mask = 1, region.mask
    crop: npt.NDArray[np.float32] = np.divide(pixels[y0:y1:step, x0:x1:step], 255, dtype=np.float32)
    filled = np.asarray(ndimage.binary_fill_holes(mask), bool)
    canvas = height * width / step**2
    values = [
        *_colour(crop[mask]),
        *_shape(mask, filled),
        *_texture(brightest(crop), mask),
        np.sqrt(mask.sum() / canvas),
        np.sqrt(filled.sum() / canvas),
    ]
    if position:
        left, right, top, bottom = x0 / width, x1 / width, y0 / height, y1 / height
        values += [left, top, right, bottom, (left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
    return np.array(values, np.float32)


@dataclass(frozen=True)
class Standardiser:
    """Mean and standard deviation of every column, (dim,) float64; a constant column has deviation 1."""

    mean: npt.NDArray[np.float64]
    deviation: npt.NDArray[np.float64]

    @staticmethod
    def fit(pictures: Iterable[Sequence[npt.NDArray[np.float32]]]) -> Standardiser:
        """From the descriptors of all regions of the training pictures."""
        table = np.stack([row for picture in pictures for row in picture]).astype(np.float64)
        deviation = table.std(axis=0)
        return Standardiser(table.mean(axis=0), np.where(deviation > 1e-6, deviation, 1.0))

    def __call__(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(n, dim) float32 with every column standardised and far outliers clipped."""
        return ((rows - self.mean) / self.deviation).clip(-_CLIP, _CLIP).astype(np.float32)


def _colour(colours: npt.NDArray[np.float32]) -> list[float]:
    """Of (n, 3) colours in 0..1: mean, deviation, histogram of hue and of brightness, share of grey."""
    spread = brightest(colours) - darkest(colours)
    vivid = spread > COLOURFUL
    bins = (hue(colours[vivid]) * HUES + 0.5).astype(np.int64) % HUES  # the first bin is centred on red
    hues = np.bincount(bins, minlength=HUES) / max(int(vivid.sum()), 1)
    tones = np.bincount((brightest(colours) * (TONES - 1e-3)).astype(np.int64), minlength=TONES) / len(colours)
    return [*colours.mean(axis=0), *colours.std(axis=0), *hues, *tones, 1 - float(vivid.mean())]


def _shape(mask: npt.NDArray[np.bool_], filled: npt.NDArray[np.bool_]) -> list[float]:
    """Of the outline: how it fills box and hull, central moments, reach by direction and its harmonics."""
    rows, cols = np.nonzero(filled)
    area = len(rows)
    y, x = rows - rows.mean(), cols - cols.mean()
    spread = np.sqrt(area)
    powers = {(p, q): float((x**p * y**q).sum()) / (area * spread ** (p + q)) for p, q in _ORDERS}
    twice = np.hypot(powers[2, 0] - powers[0, 2], 2 * powers[1, 1])
    total = powers[2, 0] + powers[0, 2]
    elongation = float(twice / total) if total else 0.0
    inner = ndimage.binary_erosion(filled)
    perimeter = area - int(inner.sum())
    # How far the outline reaches in each of 16 directions, 1 for a disc of the same area.
    direction = ((np.arctan2(y, x) / (2 * np.pi) * ANGLES + 0.5).astype(np.int64)) % ANGLES
    reach = np.zeros(ANGLES)
    np.maximum.at(reach, direction, np.hypot(x, y) * np.sqrt(np.pi) / spread)
    harmonics = np.abs(np.fft.rfft(reach))[1 : HARMONICS + 1] / ANGLES
    return [
        area / filled.size,
        area / _hull_area(filled),
        1 - float(mask.sum()) / area,
        float(np.log(filled.shape[1] / filled.shape[0])),
        elongation,
        perimeter**2 / (4 * np.pi * area),
        *powers.values(),
        *reach,
        *harmonics,
    ]


_ORDERS = ((2, 0), (1, 1), (0, 2), (3, 0), (2, 1), (1, 2), (0, 3))


def _hull_area(filled: npt.NDArray[np.bool_]) -> float:
    """Area of the convex hull of the pixels as unit squares; never degenerate."""
    rows = np.flatnonzero(filled.any(axis=1))
    left = filled[rows].argmax(axis=1)
    right = filled.shape[1] - filled[rows, ::-1].argmax(axis=1)
    ends = np.concatenate([left, right])
    corners = np.column_stack([np.tile(ends, 2), np.concatenate([rows, rows, rows + 1, rows + 1])])
    return float(ConvexHull(corners).volume)  # in two dimensions "volume" is the area


def _texture(brightness: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_]) -> list[float]:
    """Inside the outline: histogram of gradient directions weighted by strength, strength, share of dark."""
    inner = ndimage.binary_erosion(mask, iterations=2) if min(mask.shape) > 4 else np.zeros_like(mask)
    if not inner.any():
        return [0.0] * len(TEXTURE)
    down, right = (np.gradient(brightness, axis=axis)[inner] for axis in (0, 1))
    strength = np.hypot(down, right)
    # A direction and its opposite are the same for stripes.
    direction = (np.arctan2(down, right) / np.pi * DIRECTIONS + 0.5).astype(np.int64) % DIRECTIONS
    edges = np.bincount(direction, weights=strength, minlength=DIRECTIONS) / max(float(strength.sum()), 1e-6)
    values = brightness[mask]
    dark = float((values < 0.75 * values.max()).mean())
    return [*edges, float(strength.mean()), float(strength.std()), dark]
