"""Initial weights that depend on the seed and on a block's name alone, not on which other blocks exist.

Arms of an ablation then share every weight of the blocks they have in common, and the random stream that
goes on after construction (dropout) starts at the same place in all of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


class Initializer:
    """Takes one number from torch's global generator and derives a stream for every named block from it."""

    def __init__(self) -> None:
        self._base = int(torch.randint(2**62, (), device="cpu"))  # also where the model is only sized

    def build(self, name: str, make: Callable[[], M]) -> M:
        """`make()` under the block's own random stream; the global one is left as it was."""
        digest = hashlib.sha256(f"{self._base}/{name}".encode()).digest()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(int.from_bytes(digest[:7], "big"))
            return make()
