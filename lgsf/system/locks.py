"""Locks that the system frees with their process: of a run or rows while they are made, of a device while one has it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock

from lgsf.system.errors import LgsfError
from lgsf.system.faults import reason


@dataclass(frozen=True)
class Held:
    """A run's folder that is ours, as it was when we took it."""

    run: Path
    lock: Path
    identities: tuple[tuple[int, int] | None, ...]

    def check(self) -> None:
        """LgsfError if the folder or its lock was deleted, or replaced by others of these names."""
        if tuple(map(_identity, (self.run, self.lock))) != self.identities:
            raise LgsfError(
                f"{self.run} was deleted or replaced while it was being made, so it may be somebody else's now: "
                "nothing was published; see that no other process works there and run the same command again."
            )


@contextmanager
def run_lock(run: Path) -> Iterator[Held]:
    """Hold the run's folder for this process; the system frees it when the process dies, however it dies.

    The lock lies beside the folder, so that it does not go with a folder that somebody deletes. Whoever publishes
    into the folder checks before that it is still the one that was locked.

    Raises LgsfError at once if another trainer holds it.
    """
    path = run.resolve().parent / f".{run.resolve().name}.lock"
    try:
        run.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(path)
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise LgsfError(
            f"{run} is being trained by {_owner(path)}: wait for it or stop it, then run the same command again."
        ) from None
    except OSError as error:
        raise LgsfError(
            f"{run} could not be made or locked ({reason(error)}): free space, mend the permissions, or name another "
            "place and run the same command again."
        ) from None
    try:
        with contextlib.suppress(OSError):  # a courtesy to whoever comes second
            path.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        # Open, the folder keeps its inode: one that is made in its place cannot get the same number.
        folder = os.open(run, os.O_RDONLY)
        try:
            yield Held(run, path, tuple(map(_identity, (run, path))))
        finally:
            os.close(folder)
    finally:
        lock.release()


@contextmanager
def rows_lock(path: Path, rows: range, *, what: str) -> Iterator[None]:
    """Hold `rows` (at least one) of what the lock file `path` stands for; others may hold other rows meanwhile.

    The lock is this process's alone: processes that it started do not keep it when it is killed. A process must not
    hold two locks of one file.

    Raises LgsfError, which begins with `what`, at once if another process holds any of them.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise LgsfError(
            f"{path} could not be made ({reason(error)}): free space or mend the permissions and run the same command "
            "again."
        ) from None
    try:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, len(rows), rows.start)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise LgsfError(
                    f"{path} could not be locked ({reason(error)}): put the folder on a file system that has locks."
                ) from None
            raise LgsfError(
                f"{what} is being made by another process: wait for it or stop it, then run the same command again."
            ) from None
        yield
    finally:
        os.close(file)  # and so the lock is free


def claim(names: Sequence[str], *, folder: Path | None = None) -> tuple[int, filelock.BaseFileLock] | None:
    """The place of the first of `names` that no other process has claimed, and the lock that says so; None for none.

    Whoever keeps the lock has the claim, at the longest until its process ends, however it ends. Names are those of
    this machine and user; `folder` is where locks lie, the system's for temporary files without it.
    """
    folder = folder or Path(tempfile.gettempdir()) / f"lgsf-claims-{os.getuid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for place, name in enumerate(names):
            lock = filelock.FileLock(folder / f"{name}.lock")
            with contextlib.suppress(filelock.Timeout):
                lock.acquire(timeout=0)
                return place, lock
    except OSError as error:
        raise LgsfError(f"{folder}: locks cannot be made there ({reason(error)}): mend it, or set TMPDIR.") from None
    return None


def _owner(lock: Path) -> str:
    """Who wrote itself into the lock."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return lock.read_text(encoding="utf-8").strip() or "another process"
    return "another process"


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
