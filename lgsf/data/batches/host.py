"""What the host knows of tensors that went to another device: asking the device would make both wait.

A batch is made on the host. Its masks and image ids are small, and what decides shapes (lengths, numbers of valid
entries) is read from them; their copies stay at hand for as long as the tensors on the device live.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

_copies = WeakIdKeyDictionary()


def remember(there: Tensor, here: Tensor) -> Tensor:
    """`there`, known from now on to hold what `here` on the host holds; neither may be changed afterwards."""
    if there.device.type != "cpu":
        _copies[there] = here
    return there


def on_host(x: Tensor) -> Tensor:
    """`x` itself on a CPU, else its copy on the host; the device is asked, and waited for, if there is none yet."""
    if x.device.type == "cpu":
        return x
    if x not in _copies:
        _copies[x] = x.cpu()
    found: Tensor = _copies[x]
    return found


def upload(x: Tensor, device: torch.device) -> Tensor:
    """`x` on `device`, without waiting: from page-locked memory where the device is a GPU."""
    return (x.pin_memory() if device.type == "cuda" else x).to(device, non_blocking=True)
