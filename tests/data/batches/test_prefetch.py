"""Results in order, a few of them ahead, and no thread left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from lgsf.data.batches.prefetch import THREADS, in_order
from lgsf.system.errors import LgsfError


def _tasks(started: list[int], n: int = 1000) -> list[Callable[[], int]]:
    def task(i: int) -> int:
        started.append(i)
        return i

    return [partial(task, i) for i in range(n)]


def _no_thread_is_left() -> bool:
    deadline = time.monotonic() + 10
    while any(thread.name.startswith(THREADS) for thread in threading.enumerate()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


@pytest.mark.parametrize(("ahead", "workers"), [(2, 1), (2, 3), (0, 1), (0, 4)])
def test_results_come_in_order_and_a_few_ahead(ahead: int, workers: int) -> None:
    started: list[int] = []
    items = in_order(_tasks(started), ahead, workers)
    assert next(items) == 0
    most = ahead + workers  # were asked for before the first was handed out
    deadline = time.monotonic() + 10
    while len(started) < most and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.02)
    assert len(started) == most
    assert list(items) == list(range(1, 1000))
    assert _no_thread_is_left()


def test_slow_and_fast_tasks_keep_their_order() -> None:
    def task(i: int) -> int:
        time.sleep(0.01 * (i % 3))
        return i

    assert list(in_order([partial(task, i) for i in range(20)], 2, 4)) == list(range(20))


def test_no_thread_is_left_when_the_consumer_stops() -> None:
    started: list[int] = []
    items: Iterator[int] = in_order(_tasks(started), 2, 2)
    for i in items:
        if i == 3:
            break
    items.close()  # type: ignore[attr-defined]
    assert _no_thread_is_left()
    assert len(started) <= 4 + 2 + 2
    assert list(in_order([], 2, 2)) == []
    assert _no_thread_is_left()


def test_an_exception_arrives_at_its_place() -> None:
    def broken() -> int:
        raise LgsfError("the file ended early.")

    items = in_order([lambda: 1, broken, lambda: 3], 2, 2)
    assert next(items) == 1
    with pytest.raises(LgsfError, match="ended early"):
        next(items)
    assert _no_thread_is_left()
