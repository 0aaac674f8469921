"""Memory for batches, used again as soon as nobody holds what stood in it."""

from __future__ import annotations

import math
import sys
import threading

import numpy as np
import numpy.typing as npt
import torch

Floats = npt.NDArray[np.float32]


def _holders(owned: list[Floats], place: int) -> int:
    return sys.getrefcount(owned[place])


_NOBODY = _holders([np.empty(0, np.float32)], 0)


class Buffers:
    """Up to `most` arrays of `size` numbers that serve one batch after the other.

    Fresh memory is cleared page by page by the system, which costs as much as filling it. An array is given out
    again only when its reference count says that no array or tensor over it is left: who keeps a batch keeps its
    numbers. Any number of threads may take. `pinned` arrays are page-locked, for copies to a GPU.
    """

    def __init__(self, size: int, most: int, *, pinned: bool = False) -> None:
        self._size, self._most, self._pinned = size, most, pinned
        self._owned: list[Floats] = []
        self._lock = threading.Lock()

    def take(self, shape: tuple[int, ...]) -> Floats:
        """An array of `shape`, C-ordered float32, that holds anything."""
        length = math.prod(shape)
        if length > self._size:
            raise ValueError(f"{shape} does not fit into {self._size} numbers")
        with self._lock:
            for place in range(len(self._owned)):
                if _holders(self._owned, place) == _NOBODY:
                    return self._owned[place][:length].reshape(shape)
            fresh = (
                torch.empty(self._size, pin_memory=True).numpy() if self._pinned else np.empty(self._size, np.float32)
            )
            if len(self._owned) < self._most:
                self._owned.append(fresh)
            return fresh[:length].reshape(shape)
