"""Rows of a .npy file by explicit reads: memory stays at what is asked for, however large the file is."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from lgsf.system.errors import LgsfError
from lgsf.system.faults import reason

MOST_BUFFERS = os.sysconf("SC_IOV_MAX")  # that one call may fill: 1,024 on Linux


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
                self.offset = file.tell()
        except FileNotFoundError:
            raise LgsfError(f"{path} is missing: {remedy}.") from None
        except OSError as error:
            raise LgsfError(f"{path} cannot be read ({reason(error)}): {remedy}.") from None
        except (ValueError, TypeError, SyntaxError, OverflowError) as error:  # of a header that is damaged
            raise LgsfError(f"{path} is not a .npy array ({error}): {remedy}.") from None
        if fortran or self.dtype.hasobject or not self.shape or min(self.shape) < 0:
            raise LgsfError(
                f"{path} is not a C-ordered array of plain numbers: write it again with numpy.save, "
                "from numpy.ascontiguousarray and without objects."
            )
        self.row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        expected = self.offset + self.shape[0] * self.row_bytes
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
        if not self.row_bytes:
            return out
        buffer = memoryview(out.reshape(-1).view(np.uint8).data)
        start = 0
        for first, count in _runs(rows):
            stop = start + count * self.row_bytes
            self.read_into([buffer[start:stop]], first)
            start = stop
        return out

    def read_into(self, buffers: list[memoryview], first: int, *, skip: int = 0) -> None:
        """The bytes of the file from `skip` bytes behind the start of row `first`, into one buffer after the other.

        One call of the system, as long as there are no more than IOV_MAX buffers; bytes that nobody wants between two
        that somebody wants go into a buffer for all of them. `buffers` may be changed.
        """
        start, size = first * self.row_bytes + skip, sum(map(len, buffers))
        if first < 0 or start + size > len(self) * self.row_bytes:
            raise IndexError(f"rows {first} to {first + (skip + size - 1) // self.row_bytes} of {len(self)}")
        self._fill(buffers, self.offset + start, size)

    def announce(self, rows: npt.NDArray[np.integer[Any]]) -> None:
        """Tell the system that `rows` will be read soon: a disk answers many wishes at once faster than one by one."""
        if not hasattr(os, "posix_fadvise"):  # macOS
            return
        for first, count in _runs(np.sort(rows)):
            place = self.offset + first * self.row_bytes
            os.posix_fadvise(self._file, place, count * self.row_bytes, os.POSIX_FADV_WILLNEED)

    def _fill(self, buffers: list[memoryview], offset: int, size: int) -> None:
        got = os.preadv(self._file, buffers[:MOST_BUFFERS], offset)
        while got < size:  # a signal, the limit of 2 GiB or many buffers may cut one read short
            if got == 0:
                raise LgsfError(f"{self.path} ended early, it changed while it was read: {self._remedy}.")
            size, offset, filled = size - got, offset + got, 0
            while got and got >= len(buffers[filled]):
                got -= len(buffers[filled])
                filled += 1
            buffers = buffers[filled:]
            if got:
                buffers[0] = buffers[0][got:]
            got = os.preadv(self._file, buffers[:MOST_BUFFERS], offset)


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
    if len(rows) == 0:
        return iter(())
    starts = np.concatenate([[0], np.flatnonzero(np.diff(rows) != 1) + 1])
    counts = np.diff(np.append(starts, len(rows)))
    return zip(rows[starts].tolist(), counts.tolist(), strict=True)
