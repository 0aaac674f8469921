"""Results made ahead by threads, handed out in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
THREADS = "prefetch"


def in_order(tasks: Sequence[Callable[[], T]], ahead: int, workers: int) -> Iterator[T]:
    """What each task returns, in the order of the tasks, while `workers` threads make the next ones.

    At most `ahead` results wait and `workers` are being made. An exception of a task is raised at its place. The
    threads end with the generator, also when the consumer stops early.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix=THREADS) as pool:
        waiting: deque[Future[T]] = deque()
        try:
            for task in tasks:
                waiting.append(pool.submit(task))
                if len(waiting) == ahead + workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
