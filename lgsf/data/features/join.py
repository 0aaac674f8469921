"""The features of a dataset's images in blocks for the writer: every image found and of one size, before one is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lgsf.data.annotations.model import Annotations, Image
from lgsf.data.annotations.objects import found_objects
from lgsf.data.features.image import AGAIN, FeatureReader, ImageFeatures, filled, unit_boxes
from lgsf.data.writer import Block
from lgsf.system.errors import LgsfError

BLOCK_BYTES = 32 << 20  # of features that are held at once


class Join:
    """Features by image id, padded to the most regions of any image.

    n_regions, dim, dtype  of every split
    has_boxes              whether the dataset gets boxes: all its images have them, or none
    """

    def __init__(self, reader: FeatureReader, keys: Mapping[str, str], *, wants_boxes: bool) -> None:
        """`keys` is image id -> key in `reader`.

        Raises LgsfError, naming file and image, where two images differ in dim or dtype.
        """
        self._reader, self._keys = reader, keys
        first_key = next(iter(keys.values()))
        first = reader.shape(first_key)
        self.dim, self.dtype, self.n_regions = first.dim, first.dtype, 0
        for key in keys.values():
            shape = reader.shape(key)
            if (shape.dim, shape.dtype) != (first.dim, first.dtype):
                raise LgsfError(
                    f"{reader.place(key)}: features of {shape.dim} numbers in {shape.dtype}, and {reader.place(first_key)} "
                    f"has {first.dim} in {first.dtype}; {AGAIN}, or take out those of the other extractor."
                )
            self.n_regions = max(self.n_regions, shape.n_regions)
        self._wants_boxes = wants_boxes
        self.has_boxes = wants_boxes and reader.read(first_key).boxes is not None

    def blocks(self, annotations: Annotations, facts: dict[str, float]) -> Iterator[Block]:
        """Consecutive images of one split with their region counts and boxes, checked.

        After the last one `facts` holds what share of the true boxes is found, where these are known.
        """
        size = max(1, BLOCK_BYTES // (self.n_regions * self.dim * self.dtype.itemsize))
        hits, total = 0, 0
        for start in range(0, len(annotations.images), size):
            images = annotations.images[start : start + size]
            regions = np.zeros((len(images), self.n_regions, self.dim), self.dtype)
            boxes = np.zeros((len(images), self.n_regions, 4), np.float32)
            counts = np.zeros(len(images), np.int32)
            for row, image in enumerate(images):
                own, own_boxes, pixels = self._image(image)
                counts[row] = len(own)
                regions[row, : len(own)] = own
                if own_boxes is None:
                    continue
                boxes[row, : len(own)] = own_boxes
                true = annotations.boxes.get(image.image_id)
                if true is not None and pixels is not None:
                    scale = np.array([*pixels, *pixels], np.float32)
                    hits += found_objects(np.divide(true, scale, dtype=np.float32), own_boxes)
                    total += len(true)
            yield regions, counts, boxes if self.has_boxes else None
        if total:
            facts.update(objects=total, proposal_recall=hits / total)

    def _image(
        self, image: Image
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32] | None, tuple[float, float] | None]:
        """(regions without padding, their boxes in 0..1, width and height in pixels)."""
        key = self._keys[image.image_id]
        place = self._reader.place(key)
        found: ImageFeatures = self._reader.read(key)
        count = filled(place, found.regions)
        size = found.size or image.size
        if not self._wants_boxes:
            return found.regions[:count], None, size
        if (found.boxes is not None) != self.has_boxes:
            raise LgsfError(
                f"{place} has {'boxes and others have none' if found.boxes is not None else 'no boxes and others have'}; "
                "give them to all or to none, or set features.boxes to false."
            )
        boxes = None if found.boxes is None else unit_boxes(place, found.boxes, size, count)
        return found.regions[:count], boxes, size
