"""One split of a feature pack in the layout of the field (SCAN, Lee et al. 2018): open, check, read.

A pack is a folder with, for every split,
  {split}_ims.npy    (n_rows, n_regions, dim) or (n_rows, dim), float16 or float32; zero behind the regions
  {split}_caps.txt   one caption per line, those of an image one after the other
  {split}_ids.txt    optional, one image id per image (or per caption, repeated)
  {split}_boxes.npy  optional, (n_rows, n_regions, 4), x0 y0 x1 y1 in 0..1
and, if people judged pairs of the test split, Flickr8k's annotation files (lgsf.data.precomp.judgements).
n_rows is the number of images, or of captions: published packs repeat every dev and test image five times.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lgsf.data.annotations.lines import read_lines
from lgsf.data.layout import RowReader
from lgsf.data.writer import Block
from lgsf.system.errors import LgsfError

BLOCK_BYTES = 32 << 20  # of the pack that are held at once
REMEDY = "copy or extract the pack again"


@dataclass(frozen=True)
class Pack:
    """The opened files of one split; `n_images` images are used, each stored in `copies` consecutive rows."""

    regions: RowReader
    boxes: RowReader | None
    captions: list[str]
    ids: list[str]
    files: list[Path]
    n_images: int
    copies: int
    captions_per_image: int

    @property
    def layout(self) -> str:
        return "once" if self.copies == 1 else "repeated"

    @property
    def region_shape(self) -> tuple[int, int]:
        """(n_regions, dim); a row without a region axis is one region."""
        *regions, dim = self.regions.shape[1:]
        return (regions[0] if regions else 1), dim

    def image_table(self) -> pd.DataFrame:
        """Ids that look like a picture's file name serve as one."""
        pictures = [id_ if id_.lower().endswith((".jpg", ".jpeg", ".png")) else "" for id_ in self.ids]
        return pd.DataFrame({"image_id": self.ids, "file_name": pictures})

    def caption_table(self) -> pd.DataFrame:
        image, place = np.divmod(np.arange(len(self.captions)), self.captions_per_image)
        ids = [f"{self.ids[i]}#{k}" for i, k in zip(image, place, strict=True)]
        return pd.DataFrame({"caption_id": ids, "image": image.astype(np.int32), "text": self.captions})

    def blocks(self) -> Iterator[Block]:
        """Consecutive images with their region counts and boxes, checked."""
        row_bytes = self.regions.dtype.itemsize * math.prod(self.region_shape)
        size = max(1, BLOCK_BYTES // (row_bytes * self.copies))
        for start in range(0, self.n_images, size):
            stop = min(start + size, self.n_images)
            regions = self._images(self.regions, start, stop).reshape(-1, *self.region_shape)
            filled = self._filled(regions, start)
            counts = (filled * np.arange(1, filled.shape[1] + 1)).max(axis=1).astype(np.int32)
            boxes = None
            if self.boxes is not None:
                valid = np.arange(filled.shape[1]) < counts[:, None]
                boxes = self._images(self.boxes, start, stop).reshape(*valid.shape, 4).astype(np.float32)
                boxes[~valid] = 0.0
                self._check_boxes(boxes, start)
            yield regions, counts, boxes

    def _images(self, file: RowReader, start: int, stop: int) -> npt.NDArray[Any]:
        """One row per image; the other rows of an image must be copies of it, byte for byte."""
        rows = file.read(np.arange(start * self.copies, stop * self.copies))
        if self.copies == 1:
            return rows
        grouped = rows.reshape(stop - start, self.copies, -1)
        same = (grouped.view(np.uint8) == grouped[:, :1].view(np.uint8)).all(axis=2)
        if not same.all():
            image, copy = np.argwhere(~same)[0]
            first = (start + int(image)) * self.copies
            raise LgsfError(
                f"{file.path}: rows {first} and {first + int(copy)} (counted from 0) belong to one image, "
                f"since captions_per_image is {self.captions_per_image}, and differ: set captions_per_image to 1 "
                "if every row is an image of its own, otherwise the pack is broken."
            )
        return rows[:: self.copies]

    def _filled(self, regions: npt.NDArray[Any], start: int) -> npt.NDArray[np.bool_]:
        """(n, n_regions) bool: which region rows are not zero."""
        finite = np.isfinite(regions).reshape(len(regions), -1).all(axis=1)
        filled: npt.NDArray[np.bool_] = np.any(regions, axis=2)
        for fine, fault in (
            (finite, "holds NaN or infinity"),
            (filled.any(axis=1), "is all zero, so the image has no region"),
        ):
            if not fine.all():
                row = (start + int(np.argmin(fine))) * self.copies
                raise LgsfError(
                    f"{self.regions.path}: row {row} (counted from 0) {fault}; extract its features again "
                    "or remove the image."
                )
        return filled

    def _check_boxes(self, boxes: npt.NDArray[np.float32], start: int) -> None:
        assert self.boxes is not None
        inside = ((boxes >= 0) & (boxes <= 1)).all(axis=(1, 2))  # False for NaN too
        ordered = (boxes[..., :2] <= boxes[..., 2:]).all(axis=(1, 2))
        for fine, fault in (
            (inside, "has coordinates outside 0..1; divide pixels by the width and height of the image"),
            (ordered, "has a box that ends before it begins; boxes are x0 y0 x1 y1, not x y width height"),
        ):
            if not fine.all():
                row = (start + int(np.argmin(fine))) * self.copies
                raise LgsfError(f"{self.boxes.path}: row {row} (counted from 0) {fault}.")


def open_pack(folder: Path, prefix: str, captions_per_image: int, limit: int | None) -> Pack:
    regions_path, captions_path, ids_path, boxes_path = (
        folder / f"{prefix}_{kind}" for kind in ("ims.npy", "caps.txt", "ids.txt", "boxes.npy")
    )
    regions = _open_regions(regions_path)
    captions = read_lines(captions_path, "caption")
    files = [regions_path, captions_path]
    copies = _copies(regions, captions_path, len(captions), captions_per_image)
    n_images = len(captions) // captions_per_image
    ids = [str(row) for row in range(n_images)]
    if ids_path.is_file():
        ids = _read_ids(ids_path, n_images, captions_per_image)
        files.append(ids_path)
    boxes = None
    if boxes_path.is_file():
        boxes = _open_boxes(boxes_path, regions)
        files.append(boxes_path)
    kept = min(n_images, limit or n_images)
    return Pack(
        regions=regions,
        boxes=boxes,
        captions=captions[: kept * captions_per_image],
        ids=ids[:kept],
        files=files,
        n_images=kept,
        copies=copies,
        captions_per_image=captions_per_image,
    )


def _open_regions(path: Path) -> RowReader:
    reader = RowReader(path, remedy=REMEDY)
    if reader.dtype.newbyteorder("=") not in (np.float16, np.float32):
        raise LgsfError(f"{path} has dtype {reader.dtype}: convert it to float32 or float16.")
    if len(reader.shape) not in (2, 3) or 0 in reader.shape:
        raise LgsfError(
            f"{path} has shape {reader.shape}: it must be (images, regions, dim) or (images, dim), none of them 0."
        )
    return reader


def _copies(regions: RowReader, captions_path: Path, n_captions: int, captions_per_image: int) -> int:
    """How many consecutive rows hold one image: 1, or captions_per_image."""
    n_rows = len(regions)
    if n_captions % captions_per_image == 0:
        if n_rows * captions_per_image == n_captions:
            return 1
        if n_rows == n_captions:
            return captions_per_image
    raise LgsfError(
        f"{regions.path} has {n_rows} rows and {captions_path} has {n_captions} captions, which does not fit "
        f"captions_per_image {captions_per_image}: there must be {captions_per_image} captions for every row, "
        "or for every group of that many equal rows."
    )


def _read_ids(path: Path, n_images: int, captions_per_image: int) -> list[str]:
    """One id per image, from a file with a line per image or per caption."""
    ids = read_lines(path, "image id")
    if len(ids) not in (n_images, n_images * captions_per_image):
        raise LgsfError(
            f"{path} has {len(ids)} ids for {n_images} images with {n_images * captions_per_image} captions: "
            "give one per image or one per caption."
        )
    copies = len(ids) // n_images
    for line, (id_, first) in enumerate(zip(ids, np.repeat(ids[::copies], copies), strict=True), start=1):
        if id_ != first:
            raise LgsfError(
                f"{path}, line {line}: {id_!r} and {str(first)!r} belong to the captions of one image; "
                "give one id per image."
            )
    ids = ids[::copies]
    first_line: dict[str, int] = {}
    for image, id_ in enumerate(ids):
        if id_ in first_line:
            raise LgsfError(
                f"{path}: the id {id_!r} stands for two images (lines {first_line[id_] * copies + 1} and "
                f"{image * copies + 1}); ids must be unique."
            )
        first_line[id_] = image
    return ids


def _open_boxes(path: Path, regions: RowReader) -> RowReader:
    boxes = RowReader(path, remedy=REMEDY)
    expected = (*regions.shape[:-1], 4)
    if boxes.shape != expected or boxes.dtype.kind != "f":
        raise LgsfError(
            f"{path} has shape {boxes.shape} and dtype {boxes.dtype}: for {regions.path.name} it must be "
            f"{expected} and floating point."
        )
    return boxes
