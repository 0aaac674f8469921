"""Arrays that several processes fill at once: each its own range of rows of one file, with a checksum per shard.

<folder>/<name>.npy                    an array at its full length from the start, sparse until rows are written
<folder>/shards/<first>-<stop>.json    sha256 of the shard's rows in every array, and facts of its maker's own

A shard's file comes when its rows are on the disk and goes before they are touched again. So rows of a killed
writer have none, and rows that were damaged later do not have its checksum: both are missing and are made again.
There is one copy of the rows, in the place where they stay.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import filelock
import numpy as np
import numpy.typing as npt

from lgsf.data.store.regions import RegionReader
from lgsf.data.store.rows import RowReader
from lgsf.system.errors import LgsfError
from lgsf.system.files import write_json

Rows = npt.NDArray[Any]
Block = tuple[Rows, Rows, Rows | None]  # as of lgsf.data.writer
Plan = Mapping[str, tuple[tuple[int, ...], npt.DTypeLike]]  # file name -> shape (n_rows, ...), dtype
HASHED = 8 << 20  # bytes of an array that are held at once while a shard is checked


def shard_ranges(n_rows: int, size: int) -> list[range]:
    """Consecutive ranges of `size` rows, the last may be smaller, that together are all rows."""
    return [range(first, min(first + size, n_rows)) for first in range(0, n_rows, size)]


def create_arrays(folder: Path, plan: Plan) -> None:
    """Make the array files of `plan`, all zero, where they are not there yet; any number of processes may call it.

    Arrays of another shape or dtype are replaced, and then every shard is missing. Arrays that a dataset has adopted
    are copied first: who calls this is about to write, and a published dataset must not change under its readers.
    """
    (folder / "shards").mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder / "shards" / ".lock"):
        if all(_fits(folder / name, shape, np.dtype(dtype)) for name, (shape, dtype) in plan.items()):
            for name in plan:
                _have_alone(folder / name)
            return
        for record in (folder / "shards").glob("*.json"):
            record.unlink()
        for name, (shape, dtype) in plan.items():
            _create(folder / name, shape, np.dtype(dtype))


def _fits(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    try:
        reader = RowReader(path)
    except LgsfError:
        return False
    return reader.shape == shape and reader.dtype == dtype


def _have_alone(path: Path) -> None:
    if path.stat().st_nlink > 1:
        copy = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        shutil.copyfile(path, copy)
        copy.replace(path)


def _create(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with partial.open("wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + math.prod(shape) * dtype.itemsize)
    partial.replace(path)


class ShardWriter:
    """Context manager that writes one shard: the rows `rows` of every array in `folder`, block by block.

    >>> with ShardWriter(folder, range(512, 1024)) as shard:
    ...     for regions, counts in made:
    ...         shard.append({"regions.npy": regions, "region_counts.npy": counts})
    ...     shard.note(bad=["broken.jpg"])

    The arrays are those that `create_arrays` made. After an exception the shard is missing. Writers of different
    shards never touch each other's bytes, in whatever processes they are.
    """

    def __init__(self, folder: Path, rows: range) -> None:
        self._folder, self._rows = folder, rows
        self._record = record_path(folder, rows)
        self._files: dict[str, _RowFile] = {}
        self._facts: dict[str, Any] = {}

    def __enter__(self) -> ShardWriter:
        self._record.unlink(missing_ok=True)
        return self

    def note(self, **facts: Any) -> None:
        """Add facts (plain JSON) that `read_shard` gives back."""
        self._facts.update(facts)

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

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                digests = {name: file.finish() for name, file in self._files.items()}
                write_json(self._record, {"facts": self._facts, "sha256": digests})
        finally:
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
        row_bytes = math.prod(self._shape) * self._dtype.itemsize
        self._place = layout.offset + rows.start * row_bytes
        self._end = layout.offset + rows.stop * row_bytes
        self._digest = hashlib.sha256()
        self._file = os.open(path, os.O_WRONLY)

    def append(self, block: Rows) -> None:
        if block.shape[1:] != self._shape:
            raise ValueError(f"{self._path.name}: rows of shape {block.shape[1:]}, {self._shape} promised")
        if not np.can_cast(block.dtype, self._dtype, "same_kind"):
            raise ValueError(f"{self._path.name}: {block.dtype} does not go into {self._dtype}")
        data = memoryview(np.ascontiguousarray(block, self._dtype).reshape(-1).view(np.uint8).data)
        if self._place + len(data) > self._end:
            raise ValueError(f"{self._path.name}: more rows than the shard has")
        self._digest.update(data)
        done = 0
        while done < len(data):  # one write takes 2 GiB at most
            done += os.pwrite(self._file, data[done:], self._place + done)
        self._place += done

    def finish(self) -> str:
        """Put the rows on the disk; their sha256."""
        if self._place != self._end:
            raise ValueError(f"{self._path.name}: {self._end - self._place} bytes of the shard were not written")
        os.fsync(self._file)
        return self._digest.hexdigest()

    def close(self) -> None:
        os.close(self._file)


def record_path(folder: Path, rows: range) -> Path:
    """The file that says that a shard is whole."""
    return folder / "shards" / f"{rows.start:09d}-{rows.stop:09d}.json"


def read_shard(folder: Path, rows: range) -> dict[str, Any] | None:
    """The facts of a shard whose rows have its checksums; None where it is missing, half-written or damaged."""
    try:
        record = json.loads(record_path(folder, rows).read_text(encoding="utf-8"))
        digests, facts = dict(record["sha256"]), dict(record["facts"])
        sound = bool(digests) and all(_digest(folder / name, rows) == found for name, found in digests.items())
    except (OSError, ValueError, KeyError, TypeError, IndexError, LgsfError):
        return None
    return facts if sound else None


def missing_shards(folder: Path, shards: Sequence[range]) -> list[range]:
    """Those of `shards` that must be made (again), in order; every byte of the others has been read and compared."""
    return [rows for rows in shards if read_shard(folder, rows) is None]


def _digest(path: Path, rows: range) -> str:
    """sha256 of the bytes of the rows `rows`, in bounded memory."""
    reader = RowReader(path)
    digest = hashlib.sha256()
    for block in _blocks(rows, max(1, HASHED // max(1, reader.row_bytes))):
        digest.update(reader.read(np.arange(block.start, block.stop)).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _blocks(rows: range, size: int) -> Iterator[range]:
    for first in range(rows.start, rows.stop, size):
        yield range(first, min(first + size, rows.stop))


def filled_blocks(folder: Path, size: int = 256) -> Iterator[Block]:
    """(regions, counts, boxes or None) of at most `size` images at a time, for `DatasetWriter.split(filled=folder)`."""
    regions, counts = RegionReader(folder), RowReader(folder / "region_counts.npy")
    boxes = RowReader(folder / "boxes.npy") if (folder / "boxes.npy").is_file() else None
    for block in _blocks(range(len(regions)), size):
        rows = np.arange(block.start, block.stop)
        yield regions.read(rows), counts.read(rows), None if boxes is None else boxes.read(rows)


def adopt(folder: Path, target: Path, plan: Plan) -> None:
    """Give the arrays of `folder` a second name in the folder `target`: one copy of the bytes, as long as one is used.

    Where the file system has no second names they are copied. `create_arrays` and `ShardWriter` never change bytes
    that have two names (see `create_arrays`). ValueError for arrays that are not those of `plan`.
    """
    for name, (shape, dtype) in plan.items():
        if not _fits(folder / name, tuple(shape), np.dtype(dtype)):
            raise ValueError(f"{folder / name} is not of shape {shape} and type {dtype}")
        try:
            (target / name).hardlink_to(folder / name)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
                raise
            shutil.copyfile(folder / name, target / name)
