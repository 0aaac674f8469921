"""Which device this process computes on: of several GPUs one that no other process of ours has, as a lock says.

Where a machine runs as many jobs at a time as it has GPUs, each then has one to itself, whoever started it.
"""

from __future__ import annotations

import logging

import filelock
import torch

from lgsf.system.errors import LgsfError
from lgsf.system.locks import claim

logger = logging.getLogger(__name__)
_mine: list[tuple[torch.device, filelock.BaseFileLock | None]] = []  # once chosen, until it is given back


def own_device(kind: str, *, share: bool = True) -> torch.device:
    """The CPU, or the GPU of this process by its number.

    Where others of ours have all GPUs it shares the first one and says so; without `share` that is an LgsfError, as it
    is where there is none.
    """
    if kind != "cuda":
        return torch.device(kind)
    if not _mine:
        _mine.append(_choose(share))
    torch.cuda.set_device(_mine[0][0])
    return _mine[0][0]


def check_there(kind: str, *, source: str) -> None:
    """Raises LgsfError where this machine lacks the device that `source` asks for."""
    if kind == "cuda" and (reason := _no_gpu()):
        raise LgsfError(f"{source} asks for device 'cuda' and {reason}; or set device: cpu.")


def preferred(kind: str, *, what: str) -> torch.device:
    """`own_device` of the kind that `what` was made on, or the CPU where this machine has none: weights do not mind."""
    if kind == "cuda" and (reason := _no_gpu()):
        logger.info("%s was made on a GPU and is worked on here by the CPU, since %s", what, reason)
        return torch.device("cpu")
    return own_device(kind)


def give_back() -> None:
    """Give up the claim of this process, which others may need while it waits for them."""
    while _mine:
        lock = _mine.pop()[1]
        if lock is not None:
            lock.release()


def uuid_of(index: int) -> str:
    """What a GPU is called wherever it is and whatever its number."""
    return str(torch.cuda.get_device_properties(index).uuid)


def _choose(share: bool) -> tuple[torch.device, filelock.BaseFileLock | None]:
    check_there("cuda", source="this command")
    names = [uuid_of(index) for index in range(torch.cuda.device_count())]
    if (claimed := claim([f"gpu-{name}" for name in names])) is not None:
        return torch.device("cuda", claimed[0]), claimed[1]
    taken = f"all {len(names)} GPUs that this process sees are taken by others"
    if not share:
        raise LgsfError(
            f"{taken}, and each process of a training needs one of its own: wait for them, or lower processes or the "
            "number of gpu slots."
        )
    logger.warning("%s: it shares GPU 0; no more gpu slots than GPUs avoid that", taken)
    return torch.device("cuda", 0), None


def _no_gpu() -> str | None:
    """Why torch cannot use a GPU and what to do about it; None where it can."""
    if torch.cuda.is_available():
        return None
    if torch.version.cuda is None:
        return "this torch is built for CPUs: install the build for CUDA"
    return "torch finds no GPU: run where one is, or mend the driver"
