"""One log for the file, a few lines for the terminal."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

PROGRESS = 25  # between INFO and WARNING: what a person wants to see while many runs go on


def setup(log: Path | None) -> None:
    """Send everything from INFO up to `log` and PROGRESS and above to stderr; without `log`, all to stderr."""
    logging.addLevelName(PROGRESS, "PROGRESS")
    console = logging.StreamHandler(sys.stderr)
    console.setFormatter(logging.Formatter("%(message)s"))
    handlers: list[logging.Handler] = [console]
    if log is not None:
        console.setLevel(PROGRESS)
        log.parent.mkdir(parents=True, exist_ok=True)
        file = logging.FileHandler(log, mode="a", encoding="utf-8")
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        handlers.append(file)
    logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)
    logging.captureWarnings(True)
