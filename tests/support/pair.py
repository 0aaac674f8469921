"""Two processes that train together over gloo, forked from one that has imported everything and runs one thread.

Not forked from the test's own process: what its threads hold at that moment, a fork would wait for to the end.
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import tempfile
import traceback
from collections.abc import Callable
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from lgsf.models.kernels.collective import World
from lgsf.training.ranks import Ranks

SECONDS = 300
Work = Callable[..., Any]


def in_a_pair(work: Work, *arguments: Any, processes: int = 2) -> list[Any]:
    """What `work(ranks, *arguments)` returns on each rank: tensors, numbers, text and collections of those.

    work  a function of a module, which the processes import

    A negative signal if a rank died; a text with the traceback of an exception, and one with the stacks of all threads
    of a rank that was still at work after five minutes.
    """
    with tempfile.TemporaryDirectory() as folder:
        server = _server()
        server.send((work, arguments, processes, Path(folder)))
        return [_result(code, Path(folder, str(rank))) for rank, code in enumerate(server.recv())]


@cache
def _server() -> Connection:
    """To the process that forks; one for each process of tests, with which it ends."""
    ours, theirs = multiprocessing.Pipe()
    multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True).start()
    return ours


def _serve(orders: Connection) -> None:
    while True:
        try:
            work, arguments, processes, folder = orders.recv()
        except EOFError:
            return
        ranks = [_fork(work, arguments, rank, processes, folder) for rank in range(processes)]
        orders.send([os.waitstatus_to_exitcode(os.waitpid(rank, 0)[1]) for rank in ranks])


def _fork(work: Work, arguments: tuple[Any, ...], rank: int, processes: int, folder: Path) -> int:
    child = os.fork()
    if child:
        return child
    try:
        stacks = (folder / f"{rank}.stacks").open("w")
        faulthandler.register(signal.SIGALRM, stacks, chain=True)
        signal.alarm(SECONDS)
        torch.set_num_threads(1)
        names = {"RANK": rank, "WORLD_SIZE": processes, "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1"}
        os.environ.update({name: str(value) for name, value in names.items()}, GLOO_SOCKET_IFNAME="lo")
        dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=processes)
        try:
            result = work(Ranks(World(rank, processes), torch.device("cpu")), *arguments)
        except BaseException:
            result = traceback.format_exc()
        torch.save(result, folder / f"{rank}.pt")
    finally:
        os._exit(0)


def _result(code: int, file: Path) -> Any:
    if code == -signal.SIGALRM:
        return file.with_suffix(".stacks").read_text()
    return code if code < 0 else torch.load(file.with_suffix(".pt"), weights_only=True)
