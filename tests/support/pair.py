"""Two forks of this process that train together over gloo: what a test of several processes costs least with."""

from __future__ import annotations

import os
import signal
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from lgsf.models.kernels.collective import World
from lgsf.training.ranks import Ranks


def in_a_pair(work: Callable[[Ranks], Any], *, processes: int = 2) -> list[Any]:
    """What `work` returns on each rank: tensors, numbers, text and collections of those; a negative signal if it died.

    An exception of `work` comes back as a text with its traceback.
    """
    with tempfile.TemporaryDirectory() as folder:
        children = [_fork(work, rank, processes, Path(folder)) for rank in range(processes)]
        return [_result(child, Path(folder, f"{rank}.pt")) for rank, child in enumerate(children)]


def _fork(work: Callable[[Ranks], Any], rank: int, processes: int, folder: Path) -> int:
    child = os.fork()
    if child:
        return child
    try:
        signal.alarm(300)
        torch.set_num_threads(1)
        names = {"RANK": rank, "WORLD_SIZE": processes, "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1"}
        os.environ.update({name: str(value) for name, value in names.items()}, GLOO_SOCKET_IFNAME="lo")
        dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=processes)
        try:
            result = work(Ranks(World(rank, processes), torch.device("cpu")))
        except BaseException:
            result = traceback.format_exc()
        torch.save(result, folder / f"{rank}.pt")
    finally:
        os._exit(0)


def _result(child: int, file: Path) -> Any:
    _, status = os.waitpid(child, 0)
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else torch.load(file, weights_only=True)
