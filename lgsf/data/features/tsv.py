"""Bottom-up attention's TSV (Anderson et al., CVPR 2018): a row per image, boxes and features as base64 of float32.

Six columns     image_id, image_w, image_h, num_boxes, boxes, features
Ten columns     img_id, img_h, img_w, objects_id, objects_conf, attrs_id, attrs_conf, num_boxes, boxes, features
                (LXMERT, Tan & Bansal, EMNLP 2019)
Rows stand in any order and may be spread over several files. One pass notes where each row is; rows are then read
one at a time, so that memory stays at one row however large the files are.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lgsf.data.features.image import ImageFeatures, Shape, named
from lgsf.system.errors import LgsfError
from lgsf.system.faults import reason

LONGEST = 256 << 20  # bytes of a row; 100 regions of 2,048 numbers take 1.1 MB
COLUMNS = {6: (0, 1, 2, 3, 4, 5), 10: (0, 2, 1, 7, 8, 9)}  # where id, width, height, num_boxes, boxes, features are
REMEDY = "copy or download the file again"


@dataclass(frozen=True, slots=True)
class _Row:
    """Where a row stands and what its features are."""

    file: int
    line: int
    offset: int
    length: int
    n_boxes: int
    dim: int


class TsvReader:
    """The rows of several files by image id."""

    aliases: Mapping[str, str] = {}

    def __init__(self, paths: Sequence[str]) -> None:
        """Note where each image's row is.

        Raises LgsfError, naming file and line, for a row that is cut off, has other columns, or has an id that
        another row gives to other features.
        """
        self._paths = [Path(path) for path in paths]
        self._rows: dict[str, _Row] = {}
        for number, path in enumerate(self._paths):
            try:
                with path.open("rb") as file:
                    self._index(number, _lines(path, file))
            except FileNotFoundError:
                raise LgsfError(f"{path} is missing: check the path in the configuration.") from None
            except OSError as error:
                raise LgsfError(f"{path} could not be read ({reason(error)}): {REMEDY}.") from None
        self._opened = [os.open(path, os.O_RDONLY) for path in self._paths]

    def __del__(self) -> None:
        for descriptor in getattr(self, "_opened", ()):
            os.close(descriptor)

    @property
    def files(self) -> Mapping[str, Path]:
        return named(self._paths)

    @property
    def keys(self) -> Collection[str]:
        return self._rows.keys()

    def place(self, key: str) -> str:
        row = self._rows[key]
        return f"{self._paths[row.file]}, line {row.line} (image {key})"

    def shape(self, key: str) -> Shape:
        row = self._rows[key]
        return Shape(row.n_boxes, row.dim, np.dtype(np.float32))

    def read(self, key: str) -> ImageFeatures:
        row = self._rows[key]
        _, width, height, _, boxes, features = _fields(self.place(key), self._bytes(row))
        return ImageFeatures(
            self._numbers(key, features).reshape(row.n_boxes, row.dim),
            self._numbers(key, boxes).reshape(row.n_boxes, 4),
            (int(width), int(height)),
        )

    def _index(self, number: int, lines: Iterator[tuple[int, int, bytes]]) -> None:
        path = self._paths[number]
        before = len(self._rows)
        for line, offset, content in lines:
            place = f"{path}, line {line}"
            key, n_boxes, dim = _head(place, content)
            row = _Row(number, line, offset, len(content), n_boxes, dim)
            if (earlier := self._rows.get(key)) is not None and self._stored(earlier) != content:
                raise LgsfError(f"{place}: the image {key} has other features at {self.place(key)}; keep one of them.")
            self._rows.setdefault(key, row)
        if len(self._rows) == before:
            raise LgsfError(f"{path} holds no image that other files lack: {REMEDY}, or take it out of features.paths.")

    def _stored(self, row: _Row) -> bytes:
        with self._paths[row.file].open("rb") as file:
            file.seek(row.offset)
            return file.read(row.length)

    def _bytes(self, row: _Row) -> bytes:
        content = os.pread(self._opened[row.file], row.length, row.offset)
        if len(content) < row.length:
            raise LgsfError(f"{self._paths[row.file]} changed while it was read: prepare the dataset again.")
        return content

    def _numbers(self, key: str, encoded: bytes) -> npt.NDArray[np.float32]:
        try:
            return np.frombuffer(base64.b64decode(encoded, validate=True), "<f4")
        except binascii.Error as error:
            raise LgsfError(f"{self.place(key)} is not base64 ({error}): {REMEDY}.") from None


def _lines(path: Path, file: object) -> Iterator[tuple[int, int, bytes]]:
    """(number, offset, content without its end) of every line but the empty ones at the end."""
    readline = file.readline  # type: ignore[attr-defined]
    offset = 0
    number = 0
    while raw := readline(LONGEST):
        number += 1
        if len(raw) == LONGEST:
            raise LgsfError(
                f"{path}, line {number} is longer than {LONGEST >> 20} MiB, so this is no such TSV: {REMEDY}."
            )
        if content := raw.rstrip(b"\r\n"):
            yield number, offset, content
        offset += len(raw)


def _fields(place: str, content: bytes) -> tuple[bytes, ...]:
    """id, width, height, num_boxes, boxes, features."""
    fields = content.split(b"\t")
    if len(fields) not in COLUMNS:
        raise LgsfError(
            f"{place} has {len(fields)} columns; bottom-up attention's files have 6 and LXMERT's have 10: {REMEDY}."
        )
    return tuple(fields[column] for column in COLUMNS[len(fields)])


def _head(place: str, content: bytes) -> tuple[str, int, int]:
    """(id, num_boxes, dim) of a row, without decoding its numbers: their count follows from the text's length."""
    key, width, height, n_boxes, boxes, features = _fields(place, content)
    try:
        name = key.decode("utf-8").strip()
        count = int(n_boxes)
        fine = min(int(width), int(height), count) > 0 and bool(name)
    except ValueError:
        fine = False
    if not fine:
        raise LgsfError(
            f"{place}: its id, width, height or number of boxes is not one ({key[:40]!r}, {width[:20]!r}, "
            f"{height[:20]!r}, {n_boxes[:20]!r}); {REMEDY}."
        )
    n_bytes = _decoded(features)
    dim, rest = divmod(n_bytes, 4 * count)
    if _decoded(boxes) != 16 * count or rest or not dim:
        raise LgsfError(
            f"{place} (image {name}): boxes and features are not those of {count} boxes in float32, so the row is cut "
            f"off or written otherwise; {REMEDY}."
        )
    return name, count, dim


def _decoded(text: bytes) -> int:
    """Bytes that base64 text stands for; -1 where it cannot be such text."""
    if not text or len(text) % 4:
        return -1
    return len(text) // 4 * 3 - (len(text) - len(text.rstrip(b"=")))
