"""Faults of the system end in a sentence, bugs in their traceback."""

from __future__ import annotations

import errno
import io
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from lgsf.system.errors import LgsfError
from lgsf.system.failures import ending
from lgsf.system.faults import USUAL
from lgsf.system.interrupts import Interrupted


def raised(action: object) -> BaseException:
    assert callable(action)
    try:
        action()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize("number", sorted(set(USUAL) - {errno.EPIPE}))
def test_every_fault_of_the_system_is_a_sentence(number: int) -> None:
    known = ending(OSError(number, os.strerror(number), "results/x"))
    assert known is not None and known.sentence is not None
    assert known.status == 2
    assert known.sentence.startswith("error: results/x: ") and known.sentence.endswith(".")
    assert "\n" not in known.sentence
    unnamed = ending(OSError(number, os.strerror(number)))  # as pyarrow raises it
    assert unnamed is not None and unnamed.sentence is not None and os.strerror(number) in unnamed.sentence


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (raised(lambda: np.empty(10**15, np.float64)), "memory of this machine does not suffice for 7.11 PiB more"),
        (
            raised(lambda: torch.empty(10**15)),
            "memory of this machine does not suffice for 4000000000000000 bytes more",
        ),
        (raised(lambda: bytearray(2**62)), "memory of this machine"),
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has"),
            "the GPU .* for 2.00 GiB more",
        ),
        (RuntimeError("can't start new thread"), "gives no more threads"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), "memory of the GPU"),
    ],
)
def test_memory_and_threads(error: BaseException, said: str) -> None:
    known = ending(error)
    assert known is not None and known.sentence is not None and known.status == 2
    assert __import__("re").search(said, known.sentence), known.sentence
    assert "\n" not in known.sentence


def test_what_torch_says_of_a_full_disk() -> None:
    """torch.save raises a RuntimeError of its own over the error of the file."""

    class Full(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, _: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device", "results/state.pt")

    error = raised(lambda: torch.save({"x": torch.ones(10**5)}, io.BufferedWriter(Full(), 16)))
    known = ending(error)
    assert known is not None and known.sentence is not None, repr(error)
    assert "the disk is full" in known.sentence


def test_signals() -> None:
    stopped, terminated = ending(KeyboardInterrupt()), ending(Interrupted(signal.SIGTERM))
    assert stopped is not None and stopped.status == 130 and "run the same command again" in str(stopped.sentence)
    assert terminated is not None and terminated.status == 143
    pipe = ending(BrokenPipeError(errno.EPIPE, "Broken pipe"))
    assert pipe is not None and (pipe.sentence, pipe.status) == (None, 141)

    def interrupted_import() -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise ImportError("numpy.core.multiarray failed to import") from error

    within = ending(raised(interrupted_import))
    assert within is not None and within.status == 130


def bug_while_mending(kind: type[Exception]) -> None:
    try:
        Path("/nowhere/at/all").read_text()
    except FileNotFoundError:
        raise kind("a bug of ours") from None


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"), TypeError("x"), KeyError("x"), AssertionError("x"), RuntimeError("boom"), ZeroDivisionError("x"),
        RecursionError("x"), OSError("no number"), NotImplementedError("x"), UnicodeDecodeError("utf-8", b"x", 0, 1, "y"),
    ],
    ids=repr,
)  # fmt: skip
def test_bugs_stay_bugs(error: Exception) -> None:
    assert ending(error) is None


@pytest.mark.parametrize("kind", [NameError, TypeError, KeyError, AttributeError])
def test_a_bug_in_the_handling_of_a_fault_stays_a_bug(kind: type[Exception]) -> None:
    assert ending(raised(lambda: bug_while_mending(kind))) is None


def test_a_sentence_of_ours_is_said_as_it_is() -> None:
    known = ending(LgsfError("x.yaml, line 3: mend it."))
    assert known is not None and (known.sentence, known.status) == ("error: x.yaml, line 3: mend it.", 2)
