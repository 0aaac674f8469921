"""Which form of a computation runs where, and in which precision; asked here and nowhere else.

A CPU is fastest in many small steps over what its cache holds, an accelerator in few large ones: each step costs it a
launch of 5 to 10 microseconds. The forms are equal to rounding; tests run the second one on a CPU.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any, TypeVar

import torch
from torch import Tensor

logger = logging.getLogger(__name__)
T = TypeVar("T")
_SHARE = 16
_SMALL_GPU = 24 * 2**30  # what is counted on a device without memory (tests/support/launches.py)


def blocked(x: Tensor) -> bool:
    """Whether `x` is worked on in small steps: on a CPU."""
    return x.device.type == "cpu"


def memory_mb(x: Tensor, on_cpu: int) -> int:
    """MiB that intermediate values of one computation may take on the device of `x`: `on_cpu`, or a share of a GPU's.

    The share is of all memory, free or not: sizes of chunks decide the last bits of sums, and a run must repeat itself.
    """
    if blocked(x):
        return on_cpu
    total = torch.cuda.get_device_properties(x.device).total_memory if x.device.type == "cuda" else _SMALL_GPU
    return total // 2**20 // _SHARE


def float32_island(x: Tensor) -> AbstractContextManager[Any]:
    """No autocast on the device of `x`: what runs inside has the precision of its inputs."""
    kind = x.device.type
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()


def float32_forward(function: Callable[..., Any]) -> Callable[..., Any]:
    """For `forward` of a custom Function: under the autocast of either device inputs are cast to float32 first."""
    for device in ("cuda", "cpu"):
        function = torch.amp.custom_fwd(function, device_type=device, cast_inputs=torch.float32)
    return function


def float32_backward(function: Callable[..., Any]) -> Callable[..., Any]:
    """For `backward` of a custom Function whose `forward` is under `float32_forward`."""
    for device in ("cuda", "cpu"):
        function = torch.amp.custom_bwd(function, device_type=device)
    return function


@contextmanager
def unique_indices() -> Iterator[None]:
    """Indices inside never name a place twice, so writing through them is repeatable without the sort that torch adds.

    Under torch's deterministic mode a scatter sorts its indices first, millions of them for a batch.
    """
    mode = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("default")
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(mode)


def both(function: Callable[..., Tensor], *pairs: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """`function` of the first of each pair, and of the second; in one go on an accelerator, if they have one shape.

    It must take leading axes.
    """
    if blocked(pairs[0][0]) or any(one.shape != other.shape for one, other in pairs):
        first, second = (function(*side) for side in zip(*pairs, strict=True))
        return first, second
    return function(*map(torch.stack, pairs)).unbind()


def fusible(x: Tensor) -> bool:
    """Whether `run_fused` makes one kernel of a function on the device of `x`; a CPU's forms are written out instead."""
    return x.device.type == "meta" or (x.device.type == "cuda" and _compiler_works())


def run_fused(function: Callable[..., T], *tensors: Tensor) -> T:
    """`function` of tensors, compiled on a GPU: what is large in it is never written to memory."""
    return _compiled(function)(*tensors) if tensors[0].device.type == "cuda" else function(*tensors)


@cache
def _compiled(function: Callable[..., T]) -> Callable[..., T]:
    from torch._inductor import config

    # Kernels that are picked by timing them differ from run to run in their last bits.
    options: dict[str, Any] = {"deterministic": True} if hasattr(config, "deterministic") else {}
    return torch.compile(function, dynamic=True, options=options)


@cache
def _compiler_works() -> bool:
    """torch.compile needs Triton, which comes with torch for CUDA, and a C compiler; said once where it has none."""
    from torch.utils._triton import has_triton

    found = [name for name in (os.environ.get("CC"), "cc", "gcc", "clang") if name and shutil.which(name)]
    if missing := [what for what, there in (("Triton", has_triton()), ("a C compiler", found)) if not there]:
        logger.warning(
            "%s not found, so graph attention runs region by region: the same function in many small launches; "
            "install it for speed.", " and ".join(missing),
        )  # fmt: skip
    return not missing
