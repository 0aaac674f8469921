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
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from lgsf.models.kernels.collective import World
from lgsf.training.ranks import Ranks

SECONDS = 300
LOADED = ("torch._dynamo", "torch.distributed", "lgsf.training.train", "tests.support.every_method")


def in_a_pair(work: Callable[..., Any], *arguments: Any, processes: int = 2) -> list[Any]:
    """What `work(ranks, *arguments)` returns on each rank: tensors, numbers, text and collections of those.

    work  a function of a module, which the processes import

    A negative signal if a rank died; a text with the traceback of an exception, and one with the stacks of all threads
    of a rank that was still at work after five minutes.
    """
    with tempfile.TemporaryDirectory() as folder:
        ranks = [_started(work, arguments, rank, processes, Path(folder)) for rank in range(processes)]
        return [_result(child, Path(folder, str(rank))) for rank, child in enumerate(ranks)]


def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(LOADED))
    return context


def _started(
    work: Callable[..., Any], arguments: tuple[Any, ...], rank: int, processes: int, folder: Path
) -> ForkServerProcess:
    child = _context().Process(target=_rank, args=(work, arguments, rank, processes, folder))
    child.start()
    return child


def _rank(work: Callable[..., Any], arguments: tuple[Any, ...], rank: int, processes: int, folder: Path) -> None:
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


def _result(child: ForkServerProcess, file: Path) -> Any:
    child.join()
    assert child.exitcode is not None
    if child.exitcode == -signal.SIGALRM:
        return file.with_suffix(".stacks").read_text()
    return child.exitcode if child.exitcode < 0 else torch.load(file.with_suffix(".pt"), weights_only=True)
