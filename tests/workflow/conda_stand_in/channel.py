"""Build a conda channel from what is installed here: the running CPython and its pip, as real packages.

The packages are what a channel serves (a .conda archive with info/index.json and info/paths.json, listed in a
repodata.json), so that a real solver and installer can work with them.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import pyarrow as pa
from rattler import Subdir

VERSION = platform.python_version()
LIBRARY = f"lib/python{sys.version_info.major}.{sys.version_info.minor}"
LEFT_OUT = {"__pycache__", "test", "tests", "idlelib", "lib2to3", "tkinter", "turtledemo", "ensurepip", "site-packages"}
# Every start of the environment's Python is written down, so that a test can tell what ran in it.
WITNESS = """\
import os, sys
with open(os.path.join(sys.prefix, "started.txt"), "a") as file:
    file.write(" ".join(sys.orig_argv[1:]) + "\\n")
"""


def build_channel(root: Path, name: str) -> None:
    """Write the channel `name` with the packages python and pip into `root`."""
    subdir = str(Subdir.current())
    here = {f"python-{VERSION}-0.conda": _package(root / name / subdir, "python", VERSION, subdir, [], _python())}
    pip = metadata.version("pip")
    anywhere = {f"pip-{pip}-0.conda": _package(root / name / "noarch", "pip", pip, "noarch", ["python"], _pip())}
    for folder, packages in ((subdir, here), ("noarch", anywhere)):
        repodata = {"info": {"subdir": folder}, "packages": {}, "packages.conda": packages, "repodata_version": 1}
        (root / name / folder / "repodata.json").write_text(json.dumps(repodata))


def _python() -> Iterator[tuple[str, Path | bytes]]:
    """(place in the environment, content) of the running Python without its tests and installed packages."""
    base = Path(sys.base_prefix)
    short = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for name in ("python", "python3", short):
        yield f"bin/{name}", Path(os.path.realpath(sys.executable))
    for library in base.glob("lib/libpython*.so*"):
        yield f"lib/{library.name}", library
    for folder, below, files in os.walk(base / LIBRARY):
        below[:] = [name for name in below if name not in LEFT_OUT and not name.startswith("config-")]
        for name in files:
            path = Path(folder, name)
            yield str(path.relative_to(base)), path
    yield f"{LIBRARY}/site-packages/sitecustomize.py", WITNESS.encode()


def _pip() -> Iterator[tuple[str, Path | bytes]]:
    for file in metadata.files("pip") or []:
        if not str(file).startswith("..") and file.suffix != ".pyc":
            yield f"site-packages/{file}", Path(str(file.locate()))


def _package(
    folder: Path, name: str, version: str, subdir: str, depends: list[str], files: Iterator[tuple[str, Path | bytes]]
) -> dict[str, object]:
    """Write one package; returns its entry of repodata.json."""
    folder.mkdir(parents=True)
    record: dict[str, object] = {
        **{"name": name, "version": version, "build": "0", "build_number": 0},
        **{"depends": depends, "subdir": subdir},
    }
    if subdir == "noarch":
        record["noarch"] = "python"
    held = [
        (place, content if isinstance(content, bytes) else content.read_bytes(), _mode(content))
        for place, content in files
    ]
    paths = [
        {
            **{"_path": place, "path_type": "hardlink"},
            **{"sha256": hashlib.sha256(data).hexdigest(), "size_in_bytes": len(data)},
        }
        for place, data, _ in held
    ]
    facts = {
        "index.json": json.dumps(record),
        "paths.json": json.dumps({"paths": paths, "paths_version": 1}),
        "files": "\n".join(place for place, _, _ in held),
    }
    if subdir == "noarch":
        facts["link.json"] = json.dumps({"noarch": {"type": "python"}, "package_metadata_version": 1})
    stem = f"{name}-{version}-0"
    path = folder / f"{stem}.conda"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"conda_pkg_format_version": 2}))
        archive.writestr(f"pkg-{stem}.tar.zst", _packed(held))
        about = ((f"info/{place}", text.encode(), 0o644) for place, text in facts.items())
        archive.writestr(f"info-{stem}.tar.zst", _packed(about))
    return {**record, "size": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _mode(content: Path | bytes) -> int:
    return 0o644 if isinstance(content, bytes) else content.stat().st_mode & 0o777


def _packed(files: Iterable[tuple[str, bytes, int]]) -> bytes:
    """A .tar.zst of (place, data, mode)."""
    packed = pa.BufferOutputStream()
    with (
        pa.CompressedOutputStream(packed, "zstd") as stream,
        tarfile.open(fileobj=stream, mode="w|") as archive,
    ):
        for place, data, mode in files:
            entry = tarfile.TarInfo(place)
            entry.size, entry.mode = len(data), mode
            archive.addfile(entry, io.BytesIO(data))
    return bytes(packed.getvalue())
