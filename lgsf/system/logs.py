"""One log for the file, a few lines for the terminal."""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path

from lgsf.system.errors import LgsfError
from lgsf.system.faults import reason

logger = logging.getLogger(__name__)
PROGRESS = 25  # between INFO and WARNING: what a person wants to see while many runs go on


class LogFile(logging.FileHandler):
    """A log that says once, on the terminal, that it cannot be written, and lets the work go on."""

    silent = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Called in the place of an exception of `emit`; everything but a fault of the disk is a bug and is shown."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self.silent:
            self.silent = True
            print(f"lgsf: the log {self.baseFilename} cannot be written ({reason(error)}).", file=sys.stderr)


def setup(log: Path | None) -> None:
    """Send everything from INFO up to `log` and PROGRESS and above to stderr; without `log`, all to stderr.

    Raises LgsfError where `log` cannot be opened.
    """
    logging.addLevelName(PROGRESS, "PROGRESS")
    console = logging.StreamHandler(sys.stderr)
    console.setFormatter(logging.Formatter("%(message)s"))
    handlers: list[logging.Handler] = [console]
    if log is not None:
        console.setLevel(PROGRESS)
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            file = LogFile(log, mode="a", encoding="utf-8")
        except OSError as error:
            raise LgsfError(f"--log {log} cannot be written ({reason(error)}): name another file.") from None
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        handlers.append(file)
    logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)
    logging.captureWarnings(True)


class Pace:
    """Says now and then how far long work is and how long the rest will take; short work goes by without a word."""

    EVERY = 60.0  # seconds

    def __init__(self, what: str, total: int, of: str) -> None:
        """`what` is done, such as "ranking", to `total` things that are called `of`."""
        self._what, self._total, self._of = what, total, of
        self._started = self._told = time.monotonic()

    def at(self, done: int) -> None:
        """`done` of all are behind us."""
        now = time.monotonic()
        if done and now - self._told >= self.EVERY:
            self._told = now
            left = (now - self._started) / done * (self._total - done)
            logger.log(
                PROGRESS, "%s: %d of %d %s, about %s left", self._what, done, self._total, self._of, duration(left)
            )


def duration(seconds: float) -> str:
    """Seconds in a unit that fits."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def current_log() -> Path | None:
    """The file that `setup` was given."""
    files = [Path(own.baseFilename) for own in logging.getLogger().handlers if isinstance(own, LogFile)]
    return files[0] if files else None
