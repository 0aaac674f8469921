"""A dataset on disk: open, check and write the one layout that every source is turned into.

<root>/dataset.json                 schema version, name, source, counts, checksums, protocol
<root>/vocabulary.json              words of the training captions (lgsf.data.text)
<root>/<split>/regions.npy          (n_images, n_regions, dim) float16 or float32, zero behind the valid ones
<root>/<split>/region_counts.npy    (n_images,) int32, valid regions of each image, at least 1
<root>/<split>/boxes.npy            optional (n_images, n_regions, 4) float32, x0 y0 x1 y1 in 0..1
<root>/<split>/images.parquet       image_id, file_name, and whatever the source knows
<root>/<split>/captions.parquet     caption_id, image (row in images.parquet), text
<root>/<split>/judged.parquet       optional: image, caption (rows), grade, kind - pairs of special interest
<root>/<split>/relevance.npz        optional: image, caption (n_true,) int32 rows of every pair that is really true
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pandas as pd

from lgsf.system.errors import LgsfError
from lgsf.system.hashes import sha256 as sha256

SCHEMA_VERSION = 1
SPLITS = ("train", "dev", "test")
SPLIT_FILES = ("regions.npy", "region_counts.npy", "images.parquet", "captions.parquet")
OPTIONAL_FILES = ("boxes.npy", "judged.parquet", "relevance.npz")


class RowReader:
    """Rows of a C-ordered .npy file by explicit reads into memory of the caller's own.

    A memory map would do the same, but a shuffled pass over it makes the whole file resident; `preadv`
    keeps the process at the size of one batch however large the file is. Several threads may read at once.
    `remedy` ends the sentence of every error: what the user should do about this file.
    """

    def __init__(self, path: Path, *, remedy: str = "prepare the dataset again") -> None:
        self.path = path
        self._remedy = remedy
        try:
            with path.open("rb") as file:
                self.shape, fortran, self.dtype = _read_header(file)
                self._offset = file.tell()
        except FileNotFoundError:
            raise LgsfError(f"{path} is missing: {remedy}.") from None
        except (ValueError, IsADirectoryError) as error:
            raise LgsfError(f"{path} is not a .npy array ({error}): {remedy}.") from None
        if fortran or self.dtype.hasobject or not self.shape or min(self.shape) < 0:
            raise LgsfError(
                f"{path} is not a C-ordered array of plain numbers: write it again with numpy.save, "
                "from numpy.ascontiguousarray and without objects."
            )
        self._row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        expected = self._offset + self.shape[0] * self._row_bytes
        if (size := path.stat().st_size) < expected:
            raise LgsfError(f"{path} is truncated: its header promises {expected} bytes and it has {size}; {remedy}.")
        self._file = os.open(path, os.O_RDONLY)

    def __len__(self) -> int:
        return self.shape[0]

    def __del__(self) -> None:
        if (file := getattr(self, "_file", None)) is not None:
            os.close(file)

    def read(self, rows: npt.NDArray[np.integer[Any]]) -> npt.NDArray[Any]:
        """Rows in the given order, (len(rows), *shape[1:]) in the file's dtype."""
        out = np.empty((len(rows), *self.shape[1:]), self.dtype)
        if not self._row_bytes:
            return out
        buffer = memoryview(out.reshape(-1).view(np.uint8).data)
        start = 0
        for first, count in _runs(rows):
            if not 0 <= first <= first + count <= len(self):
                raise IndexError(f"rows {first} to {first + count - 1} of {len(self)}")
            stop = start + count * self._row_bytes
            self._fill(buffer[start:stop], self._offset + first * self._row_bytes)
            start = stop
        return out

    def _fill(self, buffer: memoryview, offset: int) -> None:
        done = 0
        while done < len(buffer):  # a signal, or the limit of 2 GiB, may cut one read short
            got = os.preadv(self._file, [buffer[done:]], offset + done)
            if got == 0:
                raise LgsfError(f"{self.path} ended early, it changed while it was read: {self._remedy}.")
            done += got


def _read_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, Fortran order and dtype; the file then stands at the first byte of the data."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"format version {version[0]}.{version[1]} is for tables, not for arrays of numbers")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        return read(file)
    except TokenError:  # numpy's second try, made for headers of Python 2, lets this one through
        raise ValueError("its header is damaged") from None


def _runs(rows: npt.NDArray[np.integer[Any]]) -> Iterator[tuple[int, int]]:
    """(first row, count) of each stretch of consecutive rows: one read serves a stretch."""
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    for stretch in np.split(rows, breaks):
        if len(stretch):
            yield int(stretch[0]), len(stretch)


@dataclass(frozen=True)
class Split:
    """One split of an opened dataset."""

    name: str
    regions: RowReader
    region_counts: npt.NDArray[np.int32]
    boxes: RowReader | None
    images: pd.DataFrame
    captions: pd.DataFrame
    judged: pd.DataFrame | None

    @property
    def caption_image(self) -> npt.NDArray[np.int64]:
        """(n_captions,) int64: the row of each caption's image."""
        return self.captions["image"].to_numpy(np.int64)


@dataclass(frozen=True)
class Dataset:
    """An opened dataset: its manifest, and its splits on demand."""

    root: Path
    manifest: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.manifest["name"])

    def split(self, name: str) -> Split:
        """Open a split and check that its files agree with each other and with the manifest."""
        folder = self.root / name
        for file in SPLIT_FILES:
            if not (folder / file).is_file():
                raise LgsfError(f"{folder / file} is missing: prepare the dataset again.")
        boxes, judged = folder / "boxes.npy", folder / "judged.parquet"
        split = Split(
            name=name,
            regions=RowReader(folder / "regions.npy"),
            region_counts=np.load(folder / "region_counts.npy", allow_pickle=False),
            boxes=RowReader(boxes) if boxes.is_file() else None,
            images=pd.read_parquet(folder / "images.parquet"),
            captions=pd.read_parquet(folder / "captions.parquet"),
            judged=pd.read_parquet(judged) if judged.is_file() else None,
        )
        promised = self.manifest["splits"][name]
        lengths = {
            "regions.npy": (len(split.regions), promised["images"]),
            "region_counts.npy": (len(split.region_counts), promised["images"]),
            "images.parquet": (len(split.images), promised["images"]),
            "captions.parquet": (len(split.captions), promised["captions"]),
        }
        if split.boxes is not None:
            lengths["boxes.npy"] = (len(split.boxes), promised["images"])
        for file, (rows, expected) in lengths.items():
            if rows != expected:
                raise LgsfError(
                    f"{folder / file} has {rows} rows and dataset.json promises {expected}: prepare the dataset again."
                )
        return split


def open_dataset(root: Path) -> Dataset:
    """Open `<root>/dataset.json`; a missing or foreign manifest is an error for the user."""
    path = root / "dataset.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LgsfError(f"{path} is missing: run the prepare step for this dataset first.") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise LgsfError(f"{path} is not valid JSON ({error}): prepare the dataset again.") from None
    if not isinstance(manifest, dict):
        raise LgsfError(f"{path} is not a manifest but a {type(manifest).__name__}: prepare the dataset again.")
    if manifest.get("schema_version") != SCHEMA_VERSION:
        raise LgsfError(
            f"{path} has schema version {manifest.get('schema_version')!r} and this code reads "
            f"{SCHEMA_VERSION}: prepare the dataset again."
        )
    return Dataset(root, manifest)
