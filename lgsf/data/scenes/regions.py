"""Region proposals for drawn pictures, from the pixels alone: connected areas of one hue.

Felzenszwalb's segmentation would serve photos too but costs about 0.1 s a picture; here hue is quantised
at the peaks of the picture's own histogram and connected components of one hue are the proposals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.measure import label

# Share of full colourfulness (largest minus smallest channel) above which a pixel belongs to something.
COLOURFUL = 0.16
HUE_BINS = 72
PEAK_APART = 3  # two hue peaks are at least this many bins (15 degrees) apart
PEAK_SHARE = 0.01  # a peak holds at least this share of the coloured pixels in its bin and the two beside it
MIN_AREA = 0.0012  # smallest proposal, as a share of the picture: 44 pixels of 192 x 192


@dataclass(frozen=True)
class Region:
    """One proposal.

    box    (x0, y0, x1, y1) in pixels, x1 and y1 exclusive
    mask   (y1 - y0, x1 - x0) bool: its pixels within the box
    score  larger is more confident
    """

    box: tuple[int, int, int, int]
    mask: npt.NDArray[np.bool_]
    score: float


def propose(pixels: npt.NDArray[np.uint8], max_regions: int) -> list[Region]:
    """At most `max_regions` regions of a (height, width, 3) uint8 picture, the most confident first.

    The last one is the background: the whole picture as box, all that belongs to no other proposal as
    mask. So there is always at least one region.
    """
    smooth = np.empty(pixels.shape, np.float32)
    ndimage.uniform_filter(pixels.astype(np.float32) / 255, size=(2, 2, 1), output=smooth)
    colourful = brightest(smooth) - darkest(smooth)
    labels = _hue_labels(smooth, colourful)
    pieces: npt.NDArray[np.int32] = label(labels, background=0, connectivity=2)  # type: ignore[no-untyped-call]
    found = _components(pieces, colourful, min_area=MIN_AREA * labels.size)
    found = sorted(found, key=lambda region: (-region.score, region.box))[: max_regions - 1]
    taken = np.zeros(labels.shape, bool)
    for region in found:
        x0, y0, x1, y1 = region.box
        taken[y0:y1, x0:x1] |= region.mask
    if taken.all():
        return found
    return [*found, Region((0, 0, labels.shape[1], labels.shape[0]), ~taken, 0.0)]


def _hue_labels(smooth: npt.NDArray[np.float32], colourful: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """(height, width) int32: 0 where the picture is grey, else 1 + number of the nearest hue peak."""
    labels = np.zeros(colourful.shape, np.int32)
    rows, columns = np.nonzero(colourful > COLOURFUL)
    if not len(rows):
        return labels
    bins = (hue(smooth[rows, columns]) * HUE_BINS).astype(np.int64) % HUE_BINS
    histogram = np.bincount(bins, minlength=HUE_BINS)
    window = np.roll(histogram, 1) + histogram + np.roll(histogram, -1)
    # A little weight for the middle bin decides between equal neighbours.
    order = np.argsort(-(window * 4 + histogram), kind="stable")
    peaks: list[int] = []
    for candidate in order:
        if window[candidate] < max(PEAK_SHARE * len(rows), 1):
            break
        if all(_circular(candidate, peak) >= PEAK_APART for peak in peaks):
            peaks.append(int(candidate))
    nearest = _circular(np.arange(HUE_BINS)[:, None], np.array(peaks)).argmin(axis=1)
    labels[rows, columns] = nearest[bins] + 1
    return labels


def brightest(colours: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(..., 3) -> (...): the largest of red, green and blue; numpy is slow along so short an axis."""
    largest: npt.NDArray[Any] = np.maximum(np.maximum(colours[..., 0], colours[..., 1]), colours[..., 2])
    return largest


def darkest(colours: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(..., 3) -> (...): the smallest of red, green and blue."""
    smallest: npt.NDArray[Any] = np.minimum(np.minimum(colours[..., 0], colours[..., 1]), colours[..., 2])
    return smallest


def hue(colours: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(n,) float32 in 0..1: the hue of (n, 3) colours that are not grey."""
    high, low = brightest(colours), darkest(colours)
    red, green, blue = colours.T
    spread = np.maximum(high - low, 1e-6)
    sector = np.where(
        high == red,
        (green - blue) / spread % 6,
        np.where(high == green, (blue - red) / spread + 2, (red - green) / spread + 4),
    )
    out: npt.NDArray[np.float32] = (sector / 6).astype(np.float32)
    return out


def _circular(a: npt.NDArray[np.int64] | int, b: npt.NDArray[np.int64] | int) -> npt.NDArray[np.int64]:
    """Distance of two hue bins around the circle."""
    distance = np.abs(np.asarray(a) - b)
    shorter: npt.NDArray[np.int64] = np.minimum(distance, HUE_BINS - distance)
    return shorter


def _components(pieces: npt.NDArray[np.int32], colourful: npt.NDArray[np.float32], *, min_area: float) -> list[Region]:
    """The connected pieces of at least `min_area` pixels; strong colour and size make confidence."""
    areas = np.bincount(pieces.ravel())
    strength = np.bincount(pieces.ravel(), weights=colourful.ravel())
    regions = []
    for number, window in enumerate(ndimage.find_objects(pieces), start=1):
        if window is None or areas[number] < min_area:
            continue
        rows, columns = window
        score = strength[number] / areas[number] * np.sqrt(areas[number] / pieces.size)
        box = (columns.start, rows.start, columns.stop, rows.stop)
        regions.append(Region(box, pieces[window] == number, float(score)))
    return regions
