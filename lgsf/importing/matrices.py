"""Scores and vectors in .npy files, read in blocks, in the narrowest type that keeps the order of all numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lgsf.metrics.ranking import Floats
from lgsf.system.errors import LgsfError
from lgsf.system.files import map_array

ROWS = 128
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FileScores:
    """A matrix or two sets of vectors in .npy files, read in blocks and put into the dataset's order.

    Scores are float64 where the file's numbers do not fit float32, and float32 otherwise: no order is lost.

    matrix    (n_images, n_captions), or vectors of the images (n_images, dim) if `captions` is given
    captions  vectors (n_captions, dim) in the dataset's order, of length one if `unit`, or None
    row_of    (n_images,) row of `matrix` for each image; column_of the same for captions, or None where in order
    arrays    the files as they are
    unit      whether vectors of images are brought to length one, so that the score is a cosine
    """

    path: Path
    matrix: npt.NDArray[Any]
    captions: Floats | None
    n_captions: int
    row_of: Rows
    column_of: Rows | None
    arrays: tuple[npt.NDArray[Any], ...]
    unit: bool = True

    @property
    def kind(self) -> np.dtype[Any]:
        """The type that is ranked in."""
        return next(self.blocks())[1].dtype

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.row_of), self.n_captions

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        for first in range(0, len(self.row_of), ROWS):
            rows = self.row_of[first : first + ROWS]
            block = exact(self.matrix[rows], self.path)
            if self.captions is not None:
                kind = np.result_type(block, self.captions)  # the finer of two files decides
                vectors = block.astype(kind)
                if self.unit:
                    vectors = unit_rows(vectors, self.path, rows)
                with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused below
                    block = vectors @ self.captions.astype(kind, copy=False).T
            elif self.column_of is not None:
                block = block[:, self.column_of]
            if not np.isfinite(block).all():
                row = rows[np.argwhere(~np.isfinite(block))[0][0]]
                raise LgsfError(
                    f"{self.path}, row {row}, holds a score that is not finite: such a model cannot be ranked."
                )
            yield first, block


def load(path: Path) -> npt.NDArray[Any]:
    """A memory-mapped 2-D array of real numbers."""
    array = map_array(path, hint="write it with numpy.save")
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise LgsfError(f"{path} must be a table of real numbers, not {array.ndim}-dimensional {array.dtype}.")
    return array


def exact(values: npt.NDArray[Any], path: Path) -> Floats:
    """The numbers as float32 if these hold every number of their type, else as float64.

    Raises LgsfError where float64 cannot hold them (large integers, long doubles): two scores that differ must
    not become a tie.
    """
    kind = values.dtype.newbyteorder("=")
    if np.can_cast(kind, np.float32, "safe"):
        return values.astype(np.float32)
    same: npt.NDArray[np.float64] = values.astype(np.float64)
    if kind == np.float64:
        return same
    # numpy calls the cast of 64-bit integers safe, and it is so up to 2 ** 53.
    fits = (np.abs(same) < 2.0**53) if kind.kind in "iu" else (same.astype(kind) == values) | ~np.isfinite(values)
    if not fits.all():
        worst = values[~fits].flat[0]
        raise LgsfError(
            f"{path} holds numbers that float64 cannot tell apart ({worst}, {kind}), so their order would be lost: "
            "save their ranks or differences instead, as float64."
        )
    return same


def unit_rows(vectors: Floats, path: Path, rows: Rows) -> Floats:
    """Rows of length one, in the type that was given; LgsfError for a row without direction."""
    with np.errstate(over="ignore", invalid="ignore"):
        good, length = _lengths(vectors)
        if not good.all():  # squares may leave the range that the numbers themselves keep to
            largest = np.abs(vectors[~good]).max(axis=1, keepdims=True)
            vectors[~good] = np.divide(vectors[~good], largest, out=vectors[~good], where=largest > 0)
            good, length = _lengths(vectors)
    if not good.all():
        row = rows[np.flatnonzero(~good)[0]]
        raise LgsfError(f"{path}, row {row}, is zero or not finite: a vector without direction has no cosine.")
    unit: Floats = vectors / length
    return unit


def _lengths(vectors: Floats) -> tuple[npt.NDArray[np.bool_], Floats]:
    """Which rows have a direction, and the lengths (n, 1) of all."""
    length: Floats = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.isfinite(length[:, 0]) & (length[:, 0] > 0), length
