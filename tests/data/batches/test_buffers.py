"""Memory is used again exactly when nobody can see it any more."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from lgsf.data.batches.buffers import Buffers


def test_memory_comes_back_when_the_last_view_goes() -> None:
    buffers = Buffers(12, 1)
    first = buffers.take((3, 4))
    place = first.ctypes.data
    tensor = torch.from_numpy(first)
    view = tensor[1:, ::2].T
    del first, tensor
    assert buffers.take((3, 4)).ctypes.data != place  # `view` is left
    del view
    assert buffers.take((2, 5)).ctypes.data == place


def test_shapes_and_limits() -> None:
    buffers = Buffers(6, 2)
    held = [buffers.take(shape) for shape in ((2, 3), (6,), (1, 1, 0), (3, 2))]
    assert [array.shape for array in held] == [(2, 3), (6,), (1, 1, 0), (3, 2)]
    assert all(array.dtype == np.float32 and array.flags.c_contiguous for array in held)
    for number, array in enumerate(held):
        array[:] = number
    assert all((array == number).all() for number, array in enumerate(held))
    assert len(buffers._owned) == 2
    with pytest.raises(ValueError, match="does not fit"):
        buffers.take((7,))


def test_threads_never_share_memory() -> None:
    buffers = Buffers(1000, 3)
    faults = []

    def work(number: int) -> None:
        for _ in range(300):
            mine = buffers.take((1000,))
            mine[:] = number
            if not (mine == number).all():
                faults.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
