"""Starts the processes that train one run together, and ends them all when one ends; what torchrun does, on one machine.

The ranks are `lgsf train` with the variables that torchrun sets. Each has a socket to this process: on it a rank says
why it fails, and notices, however it happens, that this process has gone. Only the first rank writes, and what it
writes is replaced whole, so a rank may be killed at any moment.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch.distributed import TCPStore  # type: ignore[attr-defined]

from lgsf.models.device import give_back
from lgsf.system.errors import LgsfError
from lgsf.system.interrupts import Interrupted, Interrupts
from lgsf.system.logs import current_log
from lgsf.system.project.places import PACKAGE
from lgsf.training.ranks import SOCKET
from lgsf.training.told import Failure, heard

LOOK_EVERY = 0.05  # seconds
PEERS = 3.0  # seconds in which the others may notice by themselves that one has ended
GRACE = 30.0  # seconds between a request to stop and the end
LOOPBACK = "lo"


@dataclass
class _Rank:
    number: int
    process: subprocess.Popen[bytes]
    socket: socket.socket
    asked: bool = field(default=False)  # to end, by us

    @property
    def status(self) -> int | None:
        return self.process.poll()

    def end(self, number: signal.Signals) -> None:
        if self.status is None:
            self.asked = True
            self.process.send_signal(number)


def launch(processes: int, *, config: Path, dataset: Path, seed: int, out: Path, interrupts: Interrupts) -> None:
    """Train one run by `processes` processes of this machine and wait for them.

    Raises what the rank that failed first would have raised, Interrupted if this process was asked to stop, and
    LgsfError if a rank was killed.
    """
    command = [sys.executable, str(PACKAGE), "train", "--config", str(config), "--dataset", str(dataset)]
    command += ["--seed", str(seed), "--out", str(out)]
    give_back()  # of an earlier training in this process
    store = TCPStore("127.0.0.1", 0, processes, is_master=True, wait_for_workers=False)
    ranks: list[_Rank] = []
    try:
        for number in range(processes):
            log = ["--log", str(current_log())] if number == 0 and current_log() else []
            ranks.append(_start([*command, *log], number, _variables(number, processes, store.port)))
        _watch(ranks, interrupts)
    finally:
        for rank in ranks:
            rank.end(signal.SIGKILL)
            rank.process.wait()
            rank.socket.close()


def _variables(number: int, processes: int, port: int) -> dict[str, str]:
    """What torchrun tells a process; the store at `port` is this process's."""
    rank, size = str(number), str(processes)
    variables = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
    variables |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    variables |= {"TORCHELASTIC_USE_AGENT_STORE": str(True), "TORCHELASTIC_RESTART_COUNT": "0"}
    if LOOPBACK in (name for _, name in socket.if_nameindex()):  # a machine need not find itself by its name
        variables["GLOO_SOCKET_IFNAME"] = LOOPBACK
    return variables


def _start(command: Sequence[str], number: int, variables: Mapping[str, str]) -> _Rank:
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            command,
            env={**os.environ, **variables, SOCKET: str(theirs.fileno())},
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            process_group=0,  # Ctrl-C is for this process, which hands it on once
        )
    return _Rank(number, process, ours)


def _watch(ranks: Sequence[_Rank], interrupts: Interrupts) -> None:
    """Until all have ended; the first rank has the last word on whether the run was finished."""
    stopped: Interrupted | None = None
    while any(rank.status is None for rank in ranks):
        failed = [rank for rank in ranks if rank.status not in (None, 0)]
        if failed or stopped:
            _end(ranks, stopped)
            break
        try:
            interrupts.check()
        except Interrupted as error:
            stopped = error
        time.sleep(LOOK_EVERY)
    if ranks[0].status == 0:
        return
    if stopped is not None:
        raise stopped
    raise _reason(ranks)


def _end(ranks: Sequence[_Rank], stopped: Interrupted | None) -> None:
    """Have the ranks end: by themselves, else at a request, else at once."""
    if stopped is None:
        _wait(ranks, PEERS)
    for rank in ranks:
        rank.end(signal.Signals(stopped.signal_number) if stopped else signal.SIGTERM)
    _wait(ranks, GRACE)
    for rank in ranks:
        rank.end(signal.SIGKILL)
    _wait(ranks, GRACE)


def _wait(ranks: Sequence[_Rank], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(rank.status is None for rank in ranks):
        time.sleep(LOOK_EVERY)


def _reason(ranks: Sequence[_Rank]) -> Exception:
    """Why the training failed: a rank that was killed, else the failure that is not about the others' end."""
    for rank in ranks:
        if (rank.status or 0) < 0 and not rank.asked:
            name = signal.Signals(-(rank.status or 0)).name
            return LgsfError(
                f"process {rank.number} of the {len(ranks)} that train this run was ended by {name}, and so the others "
                "were; if nobody did it the machine may have run out of memory: run the same command again to go on."
            )
    said = [heard(rank.socket, rank.number, rank.status) for rank in ranks if rank.status != 0]
    return min(said, key=Failure.weight).exception(len(ranks))
