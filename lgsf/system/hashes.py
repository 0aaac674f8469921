"""Checksums of files, and the fingerprint of everything that decides a run."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any


def fingerprint(parts: Mapping[str, Any], sources: Sequence[Path], root: Path) -> str:
    """Hash of everything that decides a run's outcome: settings, data, versions and the text of the code.

    Files are told apart by their place below `root`, a user's, which lie elsewhere, by their names.
    A state under another key is never resumed: a finished or changed run must not look like progress.
    """
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    for path in sorted(sources):
        digest.update(str(path.relative_to(root) if path.is_relative_to(root) else path.name).encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes, read in bounded memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sampled(paths: Iterable[Path], *, samples: int = 64, block: int = 4096) -> str:
    """Hex digest of names, sizes and samples of files: cheap enough for a dry run, whatever the files' times say.

    Of a file its first and last block and evenly spaced ones between count, `samples` in all; a file no larger than
    these counts whole. A change that leaves the size and all samples alone is not seen: that is for checksums.
    Of a folder the names and sizes of what lies in it count. Absent files count as absent.
    """
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.name}\0".encode())
        if path.is_dir():
            for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
                digest.update(f"{entry.name}\0{entry.stat().st_size}\0".encode())
        if not path.is_file():
            continue
        size = path.stat().st_size
        digest.update(f"{size}\0".encode())
        with path.open("rb") as file:
            if size <= samples * block:
                digest.update(file.read())
                continue
            for number in range(samples):
                file.seek(number * (size - block) // (samples - 1))
                digest.update(file.read(block))
    return digest.hexdigest()
