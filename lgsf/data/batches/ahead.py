"""Batches on their way to a GPU: one step ahead, on a stream of their own, so that no step waits for its data."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
U = TypeVar("U")
MOST_LEAVING = 3


def on_device(items: Iterable[T], device: torch.device, send: Callable[[T], U]) -> Iterator[U]:
    """What `send` makes of each item, in order; on a GPU it was sent off while the one before it was computed with.

    send  moves an item's tensors to `device`, without blocking, and may compute there; what it returns is a tuple or
          an object of tensors and None

    The items' own memory should be page-locked (`Tensor.pin_memory`): from other memory nothing is sent ahead. It is
    held until it has arrived.
    """
    return _ahead(items, device, send) if device.type == "cuda" else map(send, items)


def _ahead(items: Iterable[T], device: torch.device, send: Callable[[T], U]) -> Iterator[U]:
    lane = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    lane.wait_stream(torch.cuda.current_stream(device))
    leaving: deque[tuple[T, torch.cuda.Event]] = deque()
    arriving: deque[tuple[U, torch.cuda.Event]] = deque()
    for item in items:
        with torch.cuda.stream(lane):
            sent = send(item)
            done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            done.record(lane)
        leaving.append((item, done))
        arriving.append((sent, done))
        del item, sent
        while len(leaving) > 1 and leaving[0][1].query():  # type: ignore[no-untyped-call]
            leaving.popleft()
        if len(leaving) > MOST_LEAVING:  # the way is slower than what is to be sent: wait, and hold no more memory
            leaving.popleft()[1].synchronize()
        if len(arriving) == 2:
            yield _arrived(*arriving.popleft(), device)
    while arriving:
        yield _arrived(*arriving.popleft(), device)


def _arrived(sent: U, done: torch.cuda.Event, device: torch.device) -> U:
    """The item, for the stream that computes: it starts behind the copies, and its memory is not used again before."""
    current = torch.cuda.current_stream(device)
    current.wait_event(done)
    for tensor in _tensors(sent):
        tensor.record_stream(current)
    return sent


def _tensors(sent: Any) -> list[Tensor]:
    parts = sent if isinstance(sent, tuple) else vars(sent).values()
    return [part for part in parts if isinstance(part, Tensor)]
