"""Archives that strangers made: only plain files, only below the folder, only as much as was said."""

from __future__ import annotations

import json
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Self

from lgsf.fetch.settings import Unpack
from lgsf.system.errors import LgsfError
from lgsf.system.faults import reason
from lgsf.system.files import write_json

MARK = ".unpacked.json"  # the archive's checksum; its presence says that the folder is whole
MOST_MEMBERS = 2_000_000
LONGEST_HEADER = 1 << 20  # of one member of a tar archive: tarfile reads it into memory
CHUNK = 1 << 20
DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, ValueError)

HEADERS = (
    tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK,
)  # fmt: skip

Member = tuple[str, bool, Callable[[], IO[bytes]]]  # name, whether it is a folder, its bytes


class _Refused(Exception):
    """Why an archive is not unpacked."""


def unpack(archive: Path, wanted: Unpack, *, sha256: str) -> int:
    """Unpack `archive`, whose checksum is `sha256`, into the folder of `wanted`; the number of files there.

    The folder appears when it is whole; where it stands already and is of this archive nothing happens.

    Raises LgsfError, and leaves nothing, for an archive that is broken, holds anything but files and folders
    (links, devices), names a place outside the folder or one place twice, or is larger than `most_bytes`; and where
    the folder belongs to somebody else.
    """
    folder = Path(wanted.folder)
    if folder.exists():
        return _check_present(folder, archive, sha256)
    unfinished = folder.with_name(f".{folder.name}.part")
    if unfinished.exists():  # of a killed process
        shutil.rmtree(unfinished)
    try:
        unfinished.mkdir(parents=True)
        files = _unpack(archive, unfinished, wanted.most_bytes)
        write_json(unfinished / MARK, {"sha256": sha256, "files": files})
        unfinished.replace(folder)
        return files
    except _Refused as refusal:
        raise LgsfError(f"{archive} is not unpacked: {refusal}; nothing of it was kept.") from None
    except OSError as error:
        raise LgsfError(
            f"{folder} could not be written ({reason(error)}): free space or mend the permissions and "
            "run again; nothing of it was kept."
        ) from None
    finally:
        if unfinished.exists():
            shutil.rmtree(unfinished)


def _check_present(folder: Path, archive: Path, sha256: str) -> int:
    try:
        mark = json.loads((folder / MARK).read_text(encoding="utf-8"))
        if mark["sha256"] == sha256:
            return int(mark["files"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise LgsfError(
        f"{folder} exists and is not what {archive} holds: move it away, or name another folder to unpack into."
    )


def _unpack(archive: Path, folder: Path, most: int) -> int:
    """Write all members below `folder`; the number of files."""
    left, seen = most, 0
    places: dict[PurePosixPath, bool] = {}  # whether a folder
    try:
        for name, is_folder, read in _members(archive):
            seen += 1
            if seen > MOST_MEMBERS:
                raise _Refused(f"it has more than {MOST_MEMBERS} members")
            place = _place(name)
            if place == PurePosixPath():
                continue
            for parent in list(place.parents)[:-1]:
                if not places.setdefault(parent, True):
                    raise _Refused(f"{parent} is a file and a folder")
            if place in places and not (is_folder and places[place]):
                raise _Refused(f"{name!r} is there twice")
            places[place] = is_folder
            target = folder / place
            if is_folder:
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            left = _copy(read, target, left, most)
    except DAMAGE as error:
        raise _Refused(f"it is damaged or of a kind that is not known ({error})") from None
    except OSError as error:
        if error.errno is not None:  # of the disk; the readers of gzip and bzip2 raise theirs without a number
            raise
        raise _Refused(f"it is damaged ({error})") from None
    return sum(not is_folder for is_folder in places.values())


def _copy(read: Callable[[], IO[bytes]], target: Path, left: int, most: int) -> int:
    """Copy a member; the number of bytes that the others may still have. Sizes in headers are not believed."""
    with read() as source, target.open("xb") as file:
        while chunk := source.read(CHUNK):
            left -= len(chunk)
            if left < 0:
                raise _Refused(f"its contents are larger than the {most} bytes that the configuration allows")
            file.write(chunk)
    return left


def _place(name: str) -> PurePosixPath:
    """The place of a member below the folder; _Refused for one that is not surely there on every system."""
    place = PurePosixPath(name)
    if place.is_absolute() or ".." in place.parts or "\\" in name or any(c < " " for c in name):
        raise _Refused(f"{name!r} is not a plain path below the folder")
    if place == PurePosixPath(MARK):
        raise _Refused(f"{name!r} is a name that is kept for the record of unpacking")
    return place


def _members(archive: Path) -> Iterator[Member]:
    """All members; _Refused at the first that is neither file nor folder."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                kind = info.external_attr >> 28  # of the Unix mode, 0 where there is none
                if kind not in (0, 0o10, 0o4):
                    raise _Refused(f"{info.filename!r} is a link or a device")
                if info.flag_bits & 1:
                    raise _Refused(f"{info.filename!r} is encrypted")
                # The name as it stands in the file: `filename` has been cleaned of what is looked for here.
                yield info.orig_filename, info.is_dir(), partial(packed.open, info)
    else:
        with _tape(archive) as tape:
            for member in tape:
                if not (member.isreg() or member.isdir()) or member.issparse():
                    raise _Refused(f"{member.name!r} is a link, a device or a sparse file")
                yield member.name, member.isdir(), partial(_opened, tape, member)


def _tape(archive: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(archive, tarinfo=_Header)
    except tarfile.ReadError:
        raise _Refused("it is neither a zip nor a tar archive") from None


class _Header(tarfile.TarInfo):
    """A header that is not believed when it announces more of its kind than any archive needs."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        header = super().frombuf(buf, encoding, errors)
        if header.type in HEADERS and header.size > LONGEST_HEADER:
            raise _Refused(f"{header.name!r} is a header of {header.size} bytes")
        return header


def _opened(tape: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = tape.extractfile(member)
    assert file is not None  # a regular file
    return file
