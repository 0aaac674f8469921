"""SIGTERM and Ctrl-C end a run after the step in hand; a second signal ends it at once."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any


class Interrupted(Exception):
    """The run was asked to stop; `signal_number` says how."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signal_number).name}")
        self.signal_number = signal_number


class Interrupts:
    """Context manager; inside it signals only set a mark that `check` turns into `Interrupted`."""

    SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self._received: int | None = None
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        self._former = {number: signal.signal(number, self._handle) for number in self.SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def check(self) -> None:
        """Raise Interrupted if a signal has come."""
        if self._received is not None:
            raise Interrupted(self._received)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._received = number
        self._restore()  # whoever signals twice does not want to wait for the step

    def _restore(self) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former = {}
