"""Arrays that several processes fill at once: each its own rows of one file, which stay where they are written.

<folder>/<name>.npy    an array at its full length from the start, sparse until rows are written
<folder>/arrays.json   the form of every array, and by whose making: rows of different makers never share an array

Who writes rows gets their sha256 and keeps it: rows of a killed writer have none, and rows that were damaged later no
longer have it (`rows_sha256`). A dataset takes the arrays over by a second name (lgsf.data.store.filled).
"""

from __future__ import annotations

import hashlib
import math
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import filelock
import numpy as np
import numpy.typing as npt

from lgsf.data.store.rows import RowReader
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_object, write_atomically, write_json

Rows = npt.NDArray[Any]
Form = tuple[tuple[int, ...], np.dtype[Any]]  # shape (n_rows, ...), dtype
MADE = "arrays.json"
HASHED = 8 << 20  # bytes of an array that are held at once while rows are checked


def create_arrays(folder: Path, plan: Mapping[str, Form], *, maker: str, write: Collection[str]) -> None:
    """Make the arrays of `plan` (file name -> form), all zero, where they are not there; any number of processes may.

    maker  what decides the rows; arrays of another maker are replaced, and whatever was known of their rows is void
    write  names of the arrays that the caller is about to write: those that a dataset has adopted are copied first,
           since a published dataset must not change under its readers

    Raises LgsfError where the same maker made arrays of another form, and where the disk refuses.
    """
    forms = {name: [list(shape), dtype.str] for name, (shape, dtype) in plan.items()}
    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder / ".arrays.lock"):
        known = made_arrays(folder)
        same = known.get("maker") == maker
        if same and (other := known.get("arrays")) != forms:
            name = next((name for name in forms if dict(other or {}).get(name) != forms[name]), MADE)
            raise LgsfError(
                f"{folder / name} was begun as {dict(other or {}).get(name)} and these photos give {forms.get(name)}: "
                "every photo must give regions of one form; set extract.grid, or take another model."
            )
        if not same:  # a kill from here on leaves arrays that are nobody's
            (folder / MADE).unlink(missing_ok=True)
        for name, form in plan.items():
            if not same or not fits(folder / name, form):
                _create(folder / name, form)
            elif name in write:
                _have_alone(folder / name)
        if not same:
            write_json(folder / MADE, {"maker": maker, "arrays": forms})


def made_arrays(folder: Path) -> dict[str, Any]:
    """`maker` and `arrays` (name -> [shape, dtype]) of the arrays in `folder`; nothing where there are none."""
    try:
        return read_object(folder / MADE, hint="")
    except LgsfError:  # absent, or damaged: arrays of an unknown maker are nobody's
        return {}


def fits(path: Path, form: Form) -> bool:
    """Whether an array of this shape and dtype lies there, at its full length."""
    try:
        reader = RowReader(path)
    except LgsfError:
        return False
    return (reader.shape, reader.dtype) == (tuple(form[0]), form[1])


def _have_alone(path: Path) -> None:
    if path.stat().st_nlink > 1:
        with path.open("rb") as whole:
            write_atomically(path, lambda copy: shutil.copyfileobj(whole, copy, HASHED))


def _create(path: Path, form: Form) -> None:
    shape, dtype = form

    def sparse(file: IO[bytes]) -> None:
        write_header(file, form)
        file.truncate(file.tell() + math.prod(shape) * dtype.itemsize)

    write_atomically(path, sparse)


def write_header(file: IO[bytes], form: Form) -> None:
    """What stands before the rows of a .npy file."""
    header = {"descr": np.lib.format.dtype_to_descr(form[1]), "fortran_order": False, "shape": form[0]}
    np.lib.format.write_array_header_1_0(file, header)


class RowsWriter:
    """Context manager that writes the rows `rows` of arrays in `folder`, block by block.

    >>> with RowsWriter(folder, range(512, 1024)) as writer:
    ...     for regions, counts in made:
    ...         writer.append({"regions.npy": regions, "region_counts.npy": counts})
    ...     sums = writer.finish()

    The arrays are those that `create_arrays` made. Writers of different rows never touch each other's bytes, in
    whatever processes they are.
    """

    def __init__(self, folder: Path, rows: range) -> None:
        self._folder, self._rows = folder, rows
        self._files: dict[str, _RowFile] = {}

    def __enter__(self) -> RowsWriter:
        return self

    def append(self, block: Mapping[str, Rows]) -> None:
        """Write the next rows of every array: file name -> (n, ...), the same n and the same names every time."""
        if self._files and block.keys() != self._files.keys():
            raise ValueError(f"arrays {sorted(block)} after {sorted(self._files)}")
        if len({len(values) for values in block.values()}) != 1:
            raise ValueError(f"blocks of unequal length: { {name: len(values) for name, values in block.items()} }")
        for name, values in block.items():
            if name not in self._files:
                self._files[name] = _RowFile(self._folder / name, self._rows)
            self._files[name].append(values)

    def finish(self) -> dict[str, str]:
        """Put all rows on the disk; file name -> sha256 of the rows."""
        return {name: file.finish() for name, file in self._files.items()}

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()


class _RowFile:
    """The rows `rows` of an existing .npy file, written in order."""

    def __init__(self, path: Path, rows: range) -> None:
        layout = RowReader(path)
        if path.stat().st_nlink > 1:
            raise ValueError(f"{path} belongs to a dataset: call create_arrays before writing")
        if rows.step != 1 or not 0 <= rows.start < rows.stop <= len(layout):
            raise ValueError(f"{path}: rows {rows} of {len(layout)}")
        self._path, self._shape, self._dtype = path, layout.shape[1:], layout.dtype
        self._place = layout.offset + rows.start * layout.row_bytes
        self._end = layout.offset + rows.stop * layout.row_bytes
        self._digest = hashlib.sha256()
        self._file = os.open(path, os.O_WRONLY)

    def append(self, block: Rows) -> None:
        if block.shape[1:] != self._shape:
            raise ValueError(f"{self._path.name}: rows of shape {block.shape[1:]}, {self._shape} promised")
        if not np.can_cast(block.dtype, self._dtype, "same_kind"):
            raise ValueError(f"{self._path.name}: {block.dtype} does not go into {self._dtype}")
        data = memoryview(np.ascontiguousarray(block, self._dtype).reshape(-1).view(np.uint8).data)
        if self._place + len(data) > self._end:
            raise ValueError(f"{self._path.name}: more rows than were asked for")
        self._digest.update(data)
        done = 0
        while done < len(data):  # one write takes 2 GiB at most
            done += os.pwrite(self._file, data[done:], self._place + done)
        self._place += done

    def finish(self) -> str:
        """Put the rows on the disk; their sha256."""
        if self._place != self._end:
            raise ValueError(f"{self._path.name}: {self._end - self._place} bytes of the rows were not written")
        os.fsync(self._file)
        return self._digest.hexdigest()

    def close(self) -> None:
        os.close(self._file)


def rows_sha256(path: Path, rows: range) -> str:
    """sha256 of the bytes of the rows `rows` of an array, read in bounded memory.

    Raises LgsfError for a file that is no whole array, and where it has no such rows.
    """
    reader = RowReader(path)
    if rows.stop > len(reader):
        raise LgsfError(f"{path} has {len(reader)} rows and not {rows.stop}: make it again.")
    digest = hashlib.sha256()
    for block in blocks_of(rows, max(1, HASHED // max(1, reader.row_bytes))):
        digest.update(reader.read(np.arange(block.start, block.stop)).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def blocks_of(rows: range, size: int) -> Iterator[range]:
    """Consecutive ranges of `size` rows, the last may be smaller, that together are `rows`."""
    for first in range(rows.start, rows.stop, size):
        yield range(first, min(first + size, rows.stop))
