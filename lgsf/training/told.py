"""What a rank that fails tells the process that started it, so that one of them says it, once and in one sentence."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from lgsf.models.kernels.collective import PeerLostError
from lgsf.system.errors import LgsfError
from lgsf.system.failures import Told, ending
from lgsf.system.interrupts import Interrupted
from lgsf.training.ranks import SOCKET
from lgsf.training.trainer import NotFiniteError

Kind = Literal["bug", "not finite", "sentence", "stopped", "peer"]
KINDS: tuple[Kind, ...] = ("bug", "not finite", "sentence", "stopped", "peer")  # the likeliest reason first


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a rank failed.

    what, step, epoch, kept  of a NotFiniteError;  signal_number  of one that was asked to stop
    """

    kind: Kind
    text: str = ""
    rank: int = 0
    what: str = ""
    step: int = 0
    epoch: int = 0
    kept: str = ""
    signal_number: int = 0

    def weight(self) -> tuple[int, int]:
        """Least for the failure that the others follow from."""
        return KINDS.index(self.kind), self.rank

    def exception(self, ranks: int) -> Exception:
        """What a training in one process would have raised."""
        match self.kind:
            case "not finite":
                return NotFiniteError(self.what, self.step, self.epoch, Path(self.kept))
            case "stopped":
                return Interrupted(self.signal_number)
            case "bug":
                return RuntimeError(f"process {self.rank} of {ranks} failed: {self.text}")
            case _:
                return LgsfError(self.text)


@contextmanager
def telling() -> Iterator[None]:
    """Inside, a failure is told to the launcher, if there is one, and raised as Told; a bug is raised as it is, too.

    This process ends at once when its launcher has gone, however that happened.
    """
    if SOCKET not in os.environ:
        yield
        return
    launcher = socket.socket(fileno=int(os.environ[SOCKET]))
    threading.Thread(target=_end_with, args=(launcher,), daemon=True).start()
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        failure, known = _failure(error), ending(error)
        with suppress(OSError):
            launcher.sendall(json.dumps(asdict(failure)).encode())
        if known is None:
            raise
        raise Told(known.status) from error


def heard(launched: socket.socket, rank: int, status: int | None) -> Failure:
    """What a rank that has ended had to say, or that it said nothing."""
    parts = []
    with suppress(OSError):
        while part := launched.recv(2**16):
            parts.append(part)
    if not parts:
        return Failure(kind="bug", text=f"it ended with status {status} and without a word", rank=rank)
    return Failure(**{**json.loads(b"".join(parts)), "rank": rank})


def _failure(error: BaseException) -> Failure:
    if isinstance(error, PeerLostError):
        return Failure(kind="peer", text=str(error))
    if isinstance(error, NotFiniteError):
        return Failure(kind="not finite", what=error.what, step=error.step, epoch=error.epoch, kept=str(error.kept))
    if isinstance(error, Interrupted):
        return Failure(kind="stopped", signal_number=error.signal_number)
    if (known := ending(error)) is not None:
        return Failure(kind="sentence", text=(known.sentence or "").removeprefix("error: "))
    return Failure(kind="bug", text=f"{type(error).__name__}: {error}")


def _end_with(launcher: socket.socket) -> None:
    """Wait until the other end of the socket is closed."""
    with suppress(OSError):
        launcher.recv(1)
    os._exit(1)
