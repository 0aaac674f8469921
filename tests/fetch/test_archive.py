"""Archives: honest ones come out whole, tricky ones not at all."""

from __future__ import annotations

import io
import os
import stat
import struct
import tarfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lgsf.fetch.archive import MARK, unpack
from lgsf.fetch.settings import Unpack
from lgsf.system.errors import LgsfError

FILES = {"a.txt": b"one", "deep/er/b.npy": bytes(5000), "deep/empty": b"", "ünï/ç.txt": b"x"}
SUM = "0" * 64


def make_zip(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there twice
        archive.mkdir("deep")
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def make_tar(path: Path, files: dict[str, bytes], mode: str = "w:gz", **changes: Any) -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            for key, value in changes.items():
                setattr(member, key, value)
            archive.addfile(member, io.BytesIO(content))
    return path


def into(tmp_path: Path, most: int = 1 << 20) -> Unpack:
    return Unpack(folder=str(tmp_path / "out"), most_bytes=most)


def found(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file() and f.name != MARK}


def refused(tmp_path: Path, archive: Path, said: str, most: int = 1 << 20) -> None:
    before = set(tmp_path.rglob("*"))
    with pytest.raises(LgsfError, match=f"{archive.name} is not unpacked: .*{said}.*nothing of it was kept"):
        unpack(archive, into(tmp_path, most), sha256=SUM)
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("kind", ["stored", "zip", "w", "w:gz", "w:bz2", "w:xz"])
def test_honest_archives_come_out_whole(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "archive"
    if kind in ("stored", "zip"):
        make_zip(path, FILES, zipfile.ZIP_STORED if kind == "stored" else zipfile.ZIP_DEFLATED)
    else:
        make_tar(path, {f"./{name}": content for name, content in FILES.items()}, kind)
    assert unpack(path, into(tmp_path), sha256=SUM) == len(FILES)
    assert found(tmp_path / "out") == FILES
    assert all(stat.S_IMODE(file.stat().st_mode) & 0o111 == 0 for file in (tmp_path / "out").rglob("*.txt"))
    path.unlink()
    assert unpack(path, into(tmp_path), sha256=SUM) == len(FILES)  # it is there: nothing happens
    with pytest.raises(LgsfError, match=r"out exists and is not what .* holds: move it away"):
        unpack(path, into(tmp_path), sha256="1" * 64)


TRICKS = ["../out.txt", "a/../../out.txt", "/tmp/out.txt", "a\\..\\out.txt", "new\nline", MARK]


@pytest.mark.parametrize("name", TRICKS)
def test_places_outside_are_refused(tmp_path: Path, name: str) -> None:
    said = "is a name that is kept" if name == MARK else "is not a plain path below the folder"
    refused(tmp_path, make_tar(tmp_path / "a.tgz", {"fine": b"", name: b"x"}), said)
    refused(tmp_path, make_zip(tmp_path / "a.zip", {"fine": b"", name: b"x"}), said)


@pytest.mark.parametrize(
    ("kind", "target"),
    [(tarfile.SYMTYPE, "/etc"), (tarfile.LNKTYPE, "fine"), (tarfile.FIFOTYPE, ""), (tarfile.CHRTYPE, ""),
     (tarfile.BLKTYPE, "")],
)  # fmt: skip
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes, target: str) -> None:
    path = make_tar(tmp_path / "a.tar", {"x": b""}, "w", type=kind, linkname=target)
    refused(tmp_path, path, "is a link, a device or a sparse file")


def test_links_in_a_zip_are_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    refused(tmp_path, tmp_path / "a.zip", "is a link or a device")


def test_a_link_and_a_file_through_it(tmp_path: Path) -> None:
    """The classic: first a link to elsewhere, then a file below its name."""
    (tmp_path / "elsewhere").mkdir()
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        link = tarfile.TarInfo("x")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "elsewhere")
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("x/file"), io.BytesIO())
    refused(tmp_path, tmp_path / "a.tar", "is a link")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_bombs_are_stopped_at_what_was_allowed(tmp_path: Path) -> None:
    zeros = {f"{i}": bytes(300_000) for i in range(5)}
    for path in (make_zip(tmp_path / "a.zip", zeros), make_tar(tmp_path / "a.tgz", zeros)):
        assert path.stat().st_size < 10_000
        refused(tmp_path, path, "larger than the 1000000 bytes", most=1_000_000)
        assert unpack(path, Unpack(folder=str(tmp_path / path.suffix), most_bytes=1_500_000), sha256=SUM) == 5


def test_a_size_in_a_header_that_lies_is_not_believed(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"x": bytes(300_000)})
    data = path.read_bytes()
    size = struct.pack("<L", 300_000)
    path.write_bytes(data.replace(size, struct.pack("<L", 10)))
    refused(tmp_path, path, "damaged|larger", most=1000)


def test_a_giant_header_is_not_read_into_memory(tmp_path: Path) -> None:
    member = tarfile.TarInfo("pax")
    member.type, member.size = tarfile.XHDTYPE, 1 << 32
    (tmp_path / "a.tar").write_bytes(member.tobuf(tarfile.USTAR_FORMAT) + bytes(10240))
    refused(tmp_path, tmp_path / "a.tar", "is a header of 4294967296 bytes")


@pytest.mark.parametrize(
    ("names", "said"),
    [(["a", "a"], "is there twice"), (["a", "a/b"], "a is a file and a folder"), (["a/b", "a"], "is there twice")],
)
def test_places_that_collide_are_refused(tmp_path: Path, names: list[str], said: str) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    refused(tmp_path, path, said)


def test_what_is_no_archive_or_locked(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    refused(tmp_path, tmp_path / "a.txt", "neither a zip nor a tar")
    path = make_zip(tmp_path / "a.zip", {"x": b"secret"})
    data = bytearray(path.read_bytes())
    for sign, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = 0
        while (start := data.find(sign, start) + 1) > 0:
            data[start - 1 + place] |= 1
    path.write_bytes(data)
    refused(tmp_path, path, "is encrypted")


@pytest.mark.parametrize(
    "make", [make_zip, make_tar, lambda p, f: make_tar(p, f, "w:bz2"), lambda p, f: make_tar(p, f, "w")]
)
def test_damage_is_one_sentence_or_harmless(tmp_path: Path, make: Any) -> None:
    path = make(tmp_path / "archive", FILES)
    sound = np.frombuffer(path.read_bytes(), np.uint8)
    random = np.random.default_rng(0)
    for number in range(60):
        broken = sound.copy()
        broken[random.integers(0, len(sound), 4)] = random.integers(0, 256, 4)
        path.write_bytes(broken[: len(sound) if number % 2 else int(random.integers(1, len(sound)))].tobytes())
        wanted = Unpack(folder=str(tmp_path / f"out{number}"), most_bytes=1 << 20)
        try:
            unpack(path, wanted, sha256=SUM)
        except LgsfError:
            assert not Path(wanted.folder).exists()
    assert not list(tmp_path.glob(".out*"))


def test_what_a_killed_process_left_is_cleared(tmp_path: Path) -> None:
    (tmp_path / ".out.part" / "old").mkdir(parents=True)
    unpack(make_zip(tmp_path / "a.zip", FILES), into(tmp_path), sha256=SUM)
    assert found(tmp_path / "out") == FILES


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    wanted = Unpack(folder=str(tmp_path / "locked" / "out"), most_bytes=1 << 20)
    with pytest.raises(LgsfError, match="could not be written"):
        unpack(make_zip(tmp_path / "a.zip", FILES), wanted, sha256=SUM)
