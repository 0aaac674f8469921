"""Files that are either whole or absent: write beside, flush to disk, rename; what killed writers left is cleared."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import IO

from lgsf.system.errors import LgsfError
from lgsf.system.faults import os_error, reason

_HOST = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:64] or "here"
_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<host>[A-Za-z0-9-]+)\.(?P<process>\d+)\.tmp")


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in place in one step.

    A kill or a full disk at any moment leaves the old file, or none; never half of one. Raises LgsfError where the
    operating system refuses, also where a library in between made another exception of that.
    """
    temporary = path.with_name(f".{path.name}.{_HOST}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_killed(path.parent)
        with temporary.open("w+b") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except Exception as error:
        if (fault := os_error(error)) is None:
            raise
        raise LgsfError(
            f"{path} could not be written ({reason(fault)}); what was there before is untouched: "
            "free space or mend the permissions and run the same command again."
        ) from error
    finally:
        if temporary.is_file():
            temporary.unlink()


def clear_killed(folder: Path) -> None:
    """Remove the temporary files in `folder` whose writers were killed on this machine."""
    for entry in os.scandir(folder):
        found = _TEMPORARY.fullmatch(entry.name)
        if found and found["host"] == _HOST and not alive(int(found["process"])):
            Path(entry.path).unlink(missing_ok=True)


def alive(process: int) -> bool:
    """Whether a process of this machine still runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # somebody else's; no number that a process can have
        return True
    return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
