"""One log for the file, a few lines for the terminal."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from lgsf.system.errors import LgsfError
from lgsf.system.faults import reason

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


def current_log() -> Path | None:
    """The file that `setup` was given."""
    files = [Path(own.baseFilename) for own in logging.getLogger().handlers if isinstance(own, LogFile)]
    return files[0] if files else None
