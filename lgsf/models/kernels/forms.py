"""Which form of a computation runs where, and in which precision; asked here and nowhere else.

A CPU is fastest in many small steps over what its cache holds, an accelerator in few large ones: each step costs it a
launch of 5 to 10 microseconds. The forms are equal to rounding; tests run the second one on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor


def blocked(x: Tensor) -> bool:
    """Whether `x` is worked on in small steps: on a CPU."""
    return x.device.type == "cpu"


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
