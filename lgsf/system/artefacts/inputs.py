"""Inputs as they were when they were opened: identified once, compared before anything made from them is published.

A file is remembered by size, times and inode. Where these changed, its checksum decides: a file that was touched, or
replaced by an equal one, is no change.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from lgsf.system.errors import LgsfError
from lgsf.system.faults import reason
from lgsf.system.files import read_object, write_json
from lgsf.system.hashes import sha256

logger = logging.getLogger(__name__)
SMALL = 16 << 20  # bytes; up to here a checksum costs some hundredths of a second, and is compared every time
MEMORY = ".verified.json"


class Signature(NamedTuple):
    """What the file system says of a file without reading it."""

    size: int
    modified_ns: int
    changed_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> Signature:
        found = path.stat()
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


@dataclass(frozen=True)
class _Input:
    signature: Signature
    sha256: str


class Inputs:
    """The files that something is made from, as they were when they were opened."""

    def __init__(self) -> None:
        self._files: dict[Path, _Input] = {}

    def add(self, path: Path, digest: str | None = None) -> str:
        """Take a file in; returns its sha256, which is computed where it is not given. LgsfError where it is absent."""
        try:
            signature = Signature.of(path)
            found = digest or sha256(path)
        except FileNotFoundError:
            raise LgsfError(f"{path} is missing: check its name.") from None
        except OSError as error:
            raise LgsfError(f"{path} cannot be read ({reason(error)}): check its name and permissions.") from None
        self._files[path] = _Input(signature, found)
        return found

    def check(self) -> None:
        """LgsfError if a file is no longer what it was."""
        for path, known in self._files.items():
            try:
                same = Signature.of(path) == known.signature or sha256(path) == known.sha256
            except OSError:
                same = False
            if not same:
                raise LgsfError(
                    f"{path} was changed while this was made from it: nothing was published, "
                    "so run the same command again, once nobody else writes there."
                )


class Verified:
    """Which large files of a folder had the checksum that they were promised with; kept beside them if that can be.

    Damage that leaves size, times and inode alone after the file was verified is found by `lgsf verify` alone.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / MEMORY
        self._known = self._read()

    def holds(self, path: Path, digest: str, *, always: bool = False) -> bool:
        """Whether the file has this sha256; a large one is read only if it was not verified, or `always`."""
        signature = Signature.of(path)
        name, entry = path.relative_to(self._path.parent).as_posix(), [*signature, digest]
        if not always and signature.size > SMALL and self._known.get(name) == entry:
            return True
        if sha256(path) != digest:
            return False
        if signature.size > SMALL and Signature.of(path) == signature:
            self._known[name] = entry
            self._write()
        return True

    def _read(self) -> dict[str, object]:
        try:
            return read_object(self._path, hint="")
        except LgsfError:  # absent, or damaged: then everything is verified anew
            return {}

    def _write(self) -> None:
        try:
            write_json(self._path, self._known)
        except LgsfError as error:
            logger.info("%s; the large files of this folder are verified each time", error)
