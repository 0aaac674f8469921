"""Arrays that shards filled (lgsf.data.store.shards) become those of a dataset: by a second name, not a second copy."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lgsf.data.store.encode import Loss
from lgsf.data.store.regions import RegionReader
from lgsf.data.store.rows import RowReader
from lgsf.data.store.shards import Form, fits, write_header
from lgsf.system.errors import LgsfError
from lgsf.system.logs import PROGRESS

logger = logging.getLogger(__name__)
Rows = npt.NDArray[Any]
Block = tuple[Rows, Rows, Rows]  # as of lgsf.data.writer
NO_SECOND_NAME = (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK)


@dataclass(frozen=True)
class Filled:
    """The folder of a split's arrays, which of their rows are its images, and what their storing lost.

    rows         (n_images,) int64, ascending
    loss         noted while they were filled
    block_bytes  of an array that are held at once
    """

    folder: Path
    rows: npt.NDArray[np.int64]
    loss: Loss
    block_bytes: int

    def __iter__(self) -> Iterator[Block]:
        """(regions as numbers, counts, boxes) of a few MiB at a time: what a dataset's checks look at."""
        regions = RegionReader(self.folder)
        counts, boxes = (RowReader(self.folder / name) for name in ("region_counts.npy", "boxes.npy"))
        for rows in self._blocks(regions.shape, regions.dtype):
            yield regions.read(rows), counts.read(rows), boxes.read(rows)

    def adopt(self, target: Path, plan: Mapping[str, Form]) -> None:
        """Put the arrays of `plan` (file name -> form) into the folder `target`.

        Where every row is an image they get a second name there: one copy of the bytes, as long as one is used, and
        no writer of shards changes bytes that have two. Else, or where the file system has no second names, the rows
        are copied. Raises LgsfError for arrays that are not those of `plan`.
        """
        for name, (shape, dtype) in plan.items():
            path = self.folder / name
            reader = RowReader(path)
            if not fits(path, ((len(reader), *shape[1:]), dtype)) or shape[0] != len(self.rows):
                raise LgsfError(f"{path} is not of the form {shape[1:]} and {dtype}: extract the photos again.")
            if len(self.rows) == len(reader):
                _second_name(path, target / name)
                continue
            with (target / name).open("wb") as file:
                write_header(file, (shape, dtype))
                for rows in self._blocks(shape, dtype):
                    file.write(reader.read(rows).data)

    def _blocks(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Iterator[npt.NDArray[np.int64]]:
        size = max(1, self.block_bytes // (int(np.prod(shape[1:])) * dtype.itemsize))
        for first in range(0, len(self.rows), size):
            yield self.rows[first : first + size]


def _second_name(path: Path, target: Path) -> None:
    try:
        target.hardlink_to(path)
    except OSError as error:
        if error.errno not in NO_SECOND_NAME:
            raise
        logger.log(PROGRESS, "%s is copied: the file system gives it no second name (%s)", path, error.strerror)
        shutil.copyfile(path, target)
    os.utime(target)  # as new as a copy would be, for whoever compares times
