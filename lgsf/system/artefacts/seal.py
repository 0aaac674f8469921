"""The seal: a file that holds the sha256 of all its bytes, so that one changed bit is found before anything is used.

The seal is `lgsf-sha256:` and 64 hex digits, at a place where the file's format has room for text: the last key of a
JSON object, the comment of a zip archive (.npz, torch), the metadata of a Parquet file. It is the sha256 of the bytes
with 64 zeros in the place of the digits. The last mark in a file is its seal, whatever texts the file holds. A file
without one was written by an older version, or by hand: it is read, and `lgsf verify` says that nothing vouches for it.
"""

from __future__ import annotations

import hashlib
import re
import struct
from typing import IO

MARK = b"lgsf-sha256:"
BLANK = MARK + b"0" * 64
KEY = "lgsf_seal"  # of a JSON object and of a Parquet file's metadata
_DIGITS = re.compile(rb"[0-9a-f]{64}")


class BrokenSealError(Exception):
    """The bytes are not those that were sealed."""


def sealed(data: bytes) -> bytes:
    """`data`, whose last BLANK becomes its seal. Raises ValueError where there is none."""
    place = data.rfind(BLANK)
    if place < 0:
        raise ValueError("there is no place for the seal")
    start = place + len(MARK)
    return data[:start] + hashlib.sha256(data).hexdigest().encode() + data[start + 64 :]


def seal_of(data: bytes) -> str | None:
    """The hex digits of a seal that holds; None for data that were never sealed.

    Raises BrokenSealError where the bytes are not those that were sealed.
    """
    start = data.rfind(MARK) + len(MARK)
    if start < len(MARK):
        return None
    digits = data[start : start + 64]
    digest = hashlib.sha256(data[:start])
    digest.update(b"0" * 64)
    digest.update(memoryview(data)[start + 64 :])
    if not _DIGITS.fullmatch(digits) or digest.hexdigest() != digits.decode():
        raise BrokenSealError("it was changed or damaged since it was written")
    return digits.decode()


def seal_archive(file: IO[bytes]) -> None:
    """Seal the zip archive without a comment that was just written into `file`, however large it is."""
    end = file.seek(-2, 2)
    if file.read(2) != b"\0\0":
        raise ValueError("this is no zip archive without a comment")
    file.seek(end)
    file.write(struct.pack("<H", len(BLANK)) + BLANK)
    file.flush()
    file.seek(0)
    digest = _streamed(file, file.seek(0, 2))
    file.seek(-64, 2)
    file.write(digest.hexdigest().encode())


def check_sealed(file: IO[bytes]) -> None:
    """BrokenSealError unless `file` is an archive that `seal_archive` sealed and nobody changed, however large it is."""
    size = file.seek(0, 2)
    if size < len(BLANK):
        raise BrokenSealError("it is cut off")
    file.seek(-len(BLANK), 2)
    mark, digits = file.read(len(MARK)), file.read()
    digest = _streamed(file, size - 64)
    digest.update(b"0" * 64)
    if mark != MARK or digest.hexdigest().encode() != digits:
        raise BrokenSealError("it was changed or damaged since it was written")


def _streamed(file: IO[bytes], size: int) -> hashlib._Hash:
    """sha256 of the first `size` bytes of a file."""
    file.seek(0)
    digest = hashlib.sha256()
    while size > 0 and (block := file.read(min(size, 1 << 20))):
        digest.update(block)
        size -= len(block)
    return digest
