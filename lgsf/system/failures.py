"""From the usual exceptions of the operating system and of memory to one sentence and an exit status.

What is not named here is a bug, of ours or of a library, and keeps its traceback.
"""

from __future__ import annotations

import errno
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass

from lgsf.system.errors import LgsfError
from lgsf.system.interrupts import Interrupted

AGAIN = "then run the same command again"
# errno -> what is wrong and what to do, after the name of the file
SYSTEM = {
    errno.ENOSPC: f"the disk is full; free space, {AGAIN}",
    errno.EDQUOT: f"the disk quota is used up; free space, {AGAIN}",
    errno.EFBIG: f"the file would be larger than the system allows; raise `ulimit -f` or use another disk, {AGAIN}",
    errno.EROFS: "the disk can only be read; name a place that can be written",
    errno.EACCES: "access is refused; mend the permissions, or name another place",
    errno.EPERM: "the system does not permit it; mend the permissions, or name another place",
    errno.EMFILE: f"this process has too many files open; raise `ulimit -n`, {AGAIN}",
    errno.ENFILE: f"the machine has too many files open; close other programs, {AGAIN}",
    errno.EIO: f"the disk reports an error; check it, {AGAIN}",
    errno.ESTALE: f"the network disk has lost the file; check the mount, {AGAIN}",
    errno.ETIMEDOUT: f"the disk does not answer; check the mount, {AGAIN}",
    errno.ENOENT: "there is no such file or folder; check the path",
    errno.ENOTDIR: "a file stands where a folder is needed; check the path",
    errno.EISDIR: "a folder stands where a file is needed; check the path",
    errno.EEXIST: "it exists already; move it away, or name another place",
    errno.ENOTEMPTY: "the folder is not empty; move away what does not belong there",
    errno.ENAMETOOLONG: "the name is too long for this disk; choose a shorter one",
    errno.ELOOP: "its links lead in a circle; mend them",
    errno.EXDEV: "it lies on another disk; name a place on the same one",
    errno.ETXTBSY: f"the file is in use; wait for it, {AGAIN}",
    errno.EAGAIN: f"the machine gives no more processes or threads; lower threads, {AGAIN}",
    errno.ENOMEM: f"the machine has no memory left; close other programs, {AGAIN}",
}
MEMORY = (
    "the memory of {where} does not suffice{how_much}; lower training.batch_size, memory_mb or the widths of the model, "
    f"or close other programs, {AGAIN}"
)
_NO_MEMORY = re.compile(r"can't allocate memory|not enough memory|CUDA out of memory|CUBLAS_STATUS_ALLOC_FAILED")
_ASKED = re.compile(r"(?:allocate|Tried to allocate) ([\d.]+ ?(?:bytes|[KMGTPE]iB))", re.IGNORECASE)


@dataclass(frozen=True)
class Ending:
    """How a verb ends: one sentence (None where nobody reads it) and an exit status."""

    sentence: str | None
    status: int


def ending(error: BaseException) -> Ending | None:
    """What to say of an exception, or of the one that a library raised it over; None for a bug."""
    links = list(_chain(error))
    if any(isinstance(link, KeyboardInterrupt) for link in links):  # an import that was stopped says ImportError
        return Ending("stopped by SIGINT; run the same command again to go on.", 128 + signal.SIGINT)
    for link in links:
        if isinstance(link, LgsfError):
            return Ending(f"error: {link}", 2)
        if isinstance(link, Interrupted):
            return Ending(f"{link}; run the same command again to go on.", 128 + link.signal_number)
        if isinstance(link, BrokenPipeError):
            return Ending(None, 128 + signal.SIGPIPE)
        if (sentence := _of_memory(link) or _of_system(link)) is not None:
            return Ending(f"error: {sentence}.", 2)
        if type(link) is not RuntimeError:  # torch's own word for whatever happened below it; others are bugs
            return None
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and those below it: libraries raise their own over the one that says what happened."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _of_memory(error: BaseException) -> str | None:
    """torch names a full CPU by RuntimeError and a full GPU by a class of its own, which is not imported here."""
    text = str(error)
    gpu = type(error).__name__ == "OutOfMemoryError" or "CUDA" in text
    if not (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and _NO_MEMORY.search(text))
    ):
        return None
    asked = _ASKED.search(text)
    return MEMORY.format(where="the GPU" if gpu else "this machine", how_much=f" for {asked[1]} more" if asked else "")


def _of_system(error: BaseException) -> str | None:
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return SYSTEM[errno.EAGAIN]
    if not isinstance(error, OSError) or error.errno not in SYSTEM:
        return None
    files = [str(name) for name in (error.filename, error.filename2) if name is not None]
    if not files:  # pyarrow and torch do not name it
        return f"{SYSTEM[error.errno]} ({' '.join((error.strerror or str(error)).split())[:200]})"
    return f"{' and '.join(files)}: {SYSTEM[error.errno]}"
