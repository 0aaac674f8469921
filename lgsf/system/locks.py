"""The lock that guards a run while it is made."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from lgsf.system.errors import LgsfError


@contextmanager
def run_lock(run: Path) -> Iterator[None]:
    """Hold the run's folder for this process; the system frees it when the process dies, however it dies.

    Raises LgsfError at once if another trainer holds it.
    """
    run.mkdir(parents=True, exist_ok=True)
    owner = run / ".owner"
    lock = filelock.FileLock(run / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        who = owner.read_text(encoding="utf-8").strip() if owner.is_file() else "another process"
        raise LgsfError(
            f"{run} is being trained by {who}: wait for it or stop it, then run the same command again."
        ) from None
    try:
        owner.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()
