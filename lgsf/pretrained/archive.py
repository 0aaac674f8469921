"""Checksums inside a checkpoint: torch writes one for every tensor into its zip archives, and never looks at them."""

from __future__ import annotations

import zipfile
from pathlib import Path

from lgsf.system.errors import LgsfError


def check_archive(path: Path) -> None:
    """LgsfError where a member of a zip archive does not have its checksum: one changed bit gives other scores.

    Torch's older format has no checksums. Compressed members, and more of them than the file has bytes, are nothing
    that torch writes: whether they may be opened is for the reader to say.
    """
    try:
        if not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            plain = all(member.compress_type == zipfile.ZIP_STORED for member in members)
            if not plain or sum(member.file_size for member in members) > path.stat().st_size:
                return
            damaged = archive.testzip()
    except OSError:
        return
    except Exception as error:  # damage shows in many ways, and each of them ends the same
        raise LgsfError(f"{path} is a damaged archive ({error}): copy it again.") from None
    if damaged is not None:
        raise LgsfError(f"{path} is damaged: {damaged} does not have its checksum; copy it again.")
