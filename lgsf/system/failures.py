"""How a verb ends: one sentence and an exit status for faults of the system and of memory, for signals, and for users.

The sentences of the operating system are lgsf.system.faults'; here stands what else a command line must know. What is
named in neither is a bug, of ours or of a library, and keeps its traceback.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass

from lgsf.system.errors import LgsfError
from lgsf.system.faults import sentence
from lgsf.system.interrupts import Interrupted

MEMORY = (
    "the memory of {where} does not suffice{how_much}; lower training.batch_size, memory_mb or the widths of the model, "
    "or end other programs, and run the same command again"
)
_NO_MEMORY = re.compile(r"can't allocate memory|not enough memory|CUDA out of memory|CUBLAS_STATUS_ALLOC_FAILED")
_ASKED = re.compile(r"(?:allocate|Tried to allocate) ([\d.]+ ?(?:bytes|[KMGTPE]iB))", re.IGNORECASE)


@dataclass(frozen=True)
class Ending:
    """How a verb ends: one sentence (None where nobody reads it) and an exit status."""

    sentence: str | None
    status: int


class Told(Exception):
    """A failure that another process was told of and will say; this one ends with `status`."""

    def __init__(self, status: int) -> None:
        super().__init__(f"ended with status {status}; whoever started this process says why")
        self.status = status


def ending(error: BaseException) -> Ending | None:
    """What to say of an exception, or of the one that a library raised it over; None for a bug."""
    if isinstance(error, Told):
        return Ending(None, error.status)
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
        if (said := _of_memory(link) or _of_threads(link) or sentence(link)) is not None:
            return Ending(f"error: {said}", 2)
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
    return (
        MEMORY.format(where="the GPU" if gpu else "this machine", how_much=f" for {asked[1]} more" if asked else "")
        + "."
    )


def _of_threads(error: BaseException) -> str | None:
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return (
            "the machine gives no more threads; lower threads, or end other programs, and run the same command again."
        )
    return None
