"""One split of a feature pack in the layout of the field (SCAN, Lee et al. 2018): open, check, read.

A pack is a folder with, for every split,
  {split}_ims.npy    (n_rows, n_regions, dim) or (n_rows, dim), float16 or float32; zero behind the regions
  {split}_caps.txt   one caption per line
  {split}_ids.txt    optional, one image id per image, or one per caption: then captions belong to the image of their
                     id, as many as there are; else those of an image stand one after the other, equally many
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
from lgsf.data.checks.facts import refuse_other_format
from lgsf.data.layout import RowReader
from lgsf.data.writer import Block
from lgsf.system.errors import LgsfError

BLOCK_BYTES = 32 << 20  # of the pack that are held at once
ROUNDING = 1e-3  # how far a coordinate may stand outside 0..1 after a division in float16 or by a size less one
Rows = npt.NDArray[np.int64]
REMEDY = "copy or extract the pack again"


@dataclass(frozen=True)
class Pack:
    """The opened files of one split.

    captions, caption_image   the captions that are used and the image (n_captions,) int64 of each
    ids                       of the images that are used
    repeated                  whether the arrays have a row for every caption, those of an image equal
    """

    regions: RowReader
    boxes: RowReader | None
    captions: list[str]
    caption_image: Rows
    ids: list[str]
    files: list[Path]
    repeated: bool

    @property
    def n_images(self) -> int:
        return len(self.ids)

    @property
    def layout(self) -> str:
        return "repeated" if self.repeated else "once"

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
        place = pd.Series(self.caption_image).groupby(self.caption_image).cumcount()
        ids = [f"{self.ids[i]}#{k}" for i, k in zip(self.caption_image, place, strict=True)]
        return pd.DataFrame({"caption_id": ids, "image": self.caption_image.astype(np.int32), "text": self.captions})

    def blocks(self) -> Iterator[Block]:
        """Consecutive images with their region counts and boxes, checked."""
        row_bytes = self.regions.dtype.itemsize * math.prod(self.region_shape)
        rows, starts = self._rows()
        size = max(1, BLOCK_BYTES // (row_bytes * int(np.diff(starts).max(initial=1))))
        for start in range(0, self.n_images, size):
            stop = min(start + size, self.n_images)
            own, first = rows[starts[start] : starts[stop]], starts[start:stop] - starts[start]
            regions = self._images(self.regions, own, first).reshape(-1, *self.region_shape)
            filled = self._filled(regions, own[first])
            counts = (filled * np.arange(1, filled.shape[1] + 1)).max(axis=1).astype(np.int32)
            boxes = None
            if self.boxes is not None:
                valid = np.arange(filled.shape[1]) < counts[:, None]
                boxes = self._images(self.boxes, own, first).reshape(*valid.shape, 4).astype(np.float32)
                boxes[~valid] = 0.0
                self._check_boxes(boxes, own[first])
                boxes = boxes.clip(0.0, 1.0)
                boxes[..., 2:] = np.maximum(boxes[..., 2:], boxes[..., :2])
            yield regions, counts, boxes

    def _rows(self) -> tuple[Rows, Rows]:
        """Rows of the arrays by image, and where each image's begin, (n_images + 1,)."""
        if not self.repeated:
            return np.arange(self.n_images), np.arange(self.n_images + 1)
        rows = np.argsort(self.caption_image, kind="stable")
        return rows, np.searchsorted(self.caption_image[rows], np.arange(self.n_images + 1))

    def _images(self, file: RowReader, own: Rows, first: Rows) -> npt.NDArray[Any]:
        """One row per image, out of its rows `own`; the others must be copies of its `first`, byte for byte."""
        rows = file.read(own)
        if len(own) == len(first):
            return rows
        flat = rows.reshape(len(own), -1).view(np.uint8)
        of_image = np.repeat(first, np.diff([*first, len(own)]))
        same = (flat == flat[of_image]).all(axis=1)
        if not same.all():
            copy = int(np.argmin(same))
            raise LgsfError(
                f"{file.path}: rows {own[of_image[copy]]} and {own[copy]} (counted from 0) belong to one image, "
                f"{self.ids[self.caption_image[own[copy]]]!r}, and differ: set captions_per_image to 1 if every row is "
                "an image of its own, give one id per caption in the ids file if images have unequal numbers of "
                "captions, otherwise the pack is broken."
            )
        return rows[first]

    def _filled(self, regions: npt.NDArray[Any], rows: Rows) -> npt.NDArray[np.bool_]:
        """(n, n_regions) bool: which region rows are not zero; `rows` are the images' in the file."""
        finite = np.isfinite(regions).reshape(len(regions), -1).all(axis=1)
        filled: npt.NDArray[np.bool_] = np.any(regions, axis=2)
        for fine, fault in (
            (finite, "holds NaN or infinity"),
            (filled.any(axis=1), "is all zero, so the image has no region"),
        ):
            if not fine.all():
                row = rows[np.argmin(fine)]
                raise LgsfError(
                    f"{self.regions.path}: row {row} (counted from 0) {fault}; extract its features again "
                    "or remove the image."
                )
        return filled

    def _check_boxes(self, boxes: npt.NDArray[np.float32], rows: Rows) -> None:
        assert self.boxes is not None
        inside = ((boxes >= -ROUNDING) & (boxes <= 1 + ROUNDING)).all(axis=(1, 2))  # False for NaN too
        ordered = (boxes[..., :2] <= boxes[..., 2:] + ROUNDING).all(axis=(1, 2))
        for fine, fault in (
            (inside, "has coordinates outside 0..1; divide pixels by the width and height of the image"),
            (ordered, "has a box that ends before it begins; boxes are x0 y0 x1 y1, not x y width height"),
        ):
            if not fine.all():
                row = rows[np.argmin(fine)]
                raise LgsfError(f"{self.boxes.path}: row {row} (counted from 0) {fault}.")


def open_pack(folder: Path, prefix: str, captions_per_image: int, limit: int | None) -> Pack:
    """Open the files of one split and find out which caption belongs to which image; at most `limit` images."""
    regions_path, captions_path, ids_path, boxes_path = (
        folder / f"{prefix}_{kind}" for kind in ("ims.npy", "caps.txt", "ids.txt", "boxes.npy")
    )
    regions = _open_regions(regions_path)
    captions = read_lines(captions_path, "caption")
    refuse_other_format(captions, str(captions_path))
    lines = read_lines(ids_path, "image id") if ids_path.is_file() else None
    if lines is not None and len(lines) == len(captions) and len(set(lines)) < len(lines):
        ids, caption_image = _by_id(lines)
        repeated = _repeated_by_id(regions, captions_path, ids_path, len(captions), len(ids))
    else:
        repeated = _repeated(regions, captions_path, len(captions), captions_per_image, lines is not None)
        n_images = len(captions) // captions_per_image
        caption_image = np.repeat(np.arange(n_images), captions_per_image)
        ids = _ids_of_images(ids_path, lines, n_images, len(captions))
    boxes = _open_boxes(boxes_path, regions) if boxes_path.is_file() else None
    kept = np.flatnonzero(caption_image < (limit or len(ids)))
    return Pack(
        regions=regions,
        boxes=boxes,
        captions=[captions[row] for row in kept],
        caption_image=caption_image[kept],
        ids=ids[:limit],
        files=[path for path in (regions_path, captions_path, ids_path, boxes_path) if path.is_file()],
        repeated=repeated,
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


def _repeated(regions: RowReader, captions_path: Path, n_captions: int, captions_per_image: int, has_ids: bool) -> bool:
    """Whether the rows are those of captions, where every image has `captions_per_image`; LgsfError if neither fits."""
    n_rows = len(regions)
    if n_captions % captions_per_image == 0:
        if n_rows * captions_per_image == n_captions:
            return False
        if n_rows == n_captions:
            return True
    raise LgsfError(
        f"{regions.path} has {n_rows} rows and {captions_path} has {n_captions} captions, which does not fit "
        f"captions_per_image {captions_per_image}: there must be {captions_per_image} captions for every row, "
        "or for every group of that many equal rows; where images have unequal numbers of captions, "
        f"{'let the ids file hold' if has_ids else 'add an ids file with'} one image id per caption."
    )


def _repeated_by_id(regions: RowReader, captions_path: Path, ids_path: Path, n_captions: int, n_images: int) -> bool:
    """Whether the rows are those of captions or of images, where ids say whose caption is whose."""
    if len(regions) not in (n_images, n_captions):
        raise LgsfError(
            f"{regions.path} has {len(regions)} rows, and {ids_path} names {n_images} images for the {n_captions} "
            f"captions of {captions_path.name}: there must be a row for every image, in the order in which the ids "
            "first name them, or for every caption."
        )
    return len(regions) == n_captions


def _by_id(lines: list[str]) -> tuple[list[str], Rows]:
    """Ids of the images in the order of their first caption, and the image of each caption."""
    ids = list(dict.fromkeys(lines))
    place = {id_: row for row, id_ in enumerate(ids)}
    return ids, np.array([place[id_] for id_ in lines], np.int64)


def _ids_of_images(path: Path, lines: list[str] | None, n_images: int, n_captions: int) -> list[str]:
    """One id per image: the lines of its file, or the row without one."""
    if lines is None:
        return [str(row) for row in range(n_images)]
    if len(lines) != n_images:
        raise LgsfError(
            f"{path} has {len(lines)} ids for {n_images} images with {n_captions} captions: "
            "give one per image, or the image's id once per caption."
        )
    first_line: dict[str, int] = {}
    for line, id_ in enumerate(lines, start=1):
        if id_ in first_line:
            raise LgsfError(
                f"{path}: the id {id_!r} stands for two images (lines {first_line[id_]} and {line}); ids must be unique."
            )
        first_line[id_] = line
    return lines


def _open_boxes(path: Path, regions: RowReader) -> RowReader:
    boxes = RowReader(path, remedy=REMEDY)
    expected = (*regions.shape[:-1], 4)
    if boxes.shape != expected or boxes.dtype.kind != "f":
        raise LgsfError(
            f"{path} has shape {boxes.shape} and dtype {boxes.dtype}: for {regions.path.name} it must be "
            f"{expected} and floating point."
        )
    return boxes
