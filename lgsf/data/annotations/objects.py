"""How many of the objects that people boxed the regions of an image have found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

FOUND = 0.5  # intersection over union at which a region has found an object
Boxes = npt.NDArray[np.floating[Any]]


def found_objects(true: Boxes, proposed: Boxes) -> int:
    """How many of the `true` boxes (n, 4) some of the `proposed` (m, 4) cover with IoU >= 0.5; x0 y0 x1 y1 alike."""
    if not len(true) or not len(proposed):
        return 0
    low = np.maximum(true[:, None, :2], proposed[None, :, :2])
    high = np.minimum(true[:, None, 2:], proposed[None, :, 2:])
    shared = (high - low).clip(0).prod(axis=2)
    areas = [(b[:, 2:] - b[:, :2]).prod(axis=1) for b in (true, proposed)]
    iou = shared / (areas[0][:, None] + areas[1] - shared)
    return int((iou.max(axis=1) >= FOUND).sum())


def recall(true: Iterable[Boxes], proposed: Iterable[Boxes]) -> float:
    """Share of all true boxes of all images that are found; NaN where there is none."""
    hits, total = 0, 0
    for own, found in zip(true, proposed, strict=True):
        hits += found_objects(own, found)
        total += len(own)
    return hits / total if total else float("nan")
