"""How far the trainings of a workflow are and how long they will take, from the lines that they log; without torch."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

EPOCH = re.compile(r": epoch (\d+)/(\d+), .* (\d+) s left$", re.MULTILINE)  # lgsf.training.trainer writes both
DONE = re.compile(r": done in (\d+) s, ", re.MULTILINE)
EVERY = 60.0  # seconds between two lines


@dataclass(frozen=True)
class Seen:
    """A training: epochs done, seconds left and in all as far as they are known; in all says how long others may take."""

    name: str
    method: str
    epoch: int = 0
    epochs: int = 0
    left: float | None = None
    whole: float | None = None

    @property
    def done(self) -> bool:
        return self.left == 0.0


class Watch:
    """The logs <...>/<dataset>/<method>/seed<k>/train.log of the trainings that a workflow is about to run."""

    def __init__(self, logs: Iterable[Path]) -> None:
        """What stands in a log already is of an earlier run."""
        self._from = {log: log.stat().st_size if log.is_file() else 0 for log in logs}

    def look(self, log: Path) -> Seen:
        """What the log of one training says by now."""
        dataset, method, seed = log.parts[-4:-1]
        name = f"{dataset}/{method} {seed.replace('seed', 'seed ')}"
        try:
            with log.open("rb") as file:
                file.seek(self._from[log])
                text = file.read().decode("utf-8", "replace")
            age = max(0.0, time.time() - log.stat().st_mtime)
        except OSError:  # not begun
            return Seen(name, method)
        if found := DONE.search(text):
            return Seen(name, method, left=0.0, whole=float(found[1]))
        epochs = EPOCH.findall(text)
        if not epochs:
            return Seen(name, method)
        epoch, of, left = map(int, epochs[-1])
        whole = left * of / (of - epoch) if of > epoch else None
        return Seen(name, method, epoch, of, max(0.1, left - age), whole)

    def line(self) -> str:
        """How many are done, which are at work, and how long the rest will take if as many go on side by side."""
        seen = [self.look(log) for log in self._from]
        working = [one for one in seen if one.epoch]
        words = f"Trainings: {sum(one.done for one in seen)} of {len(seen)} done"
        if working:
            words += f", at work {', '.join(f'{one.name} (epoch {one.epoch} of {one.epochs})' for one in working)}"
        left = self._left(seen)
        return words + ("." if left is None else f"; about {max(1, round(left / 60))} min left for trainings.")

    @staticmethod
    def _left(seen: list[Seen]) -> float | None:
        """Seconds until all are done; those that have said nothing take as long as their like, or as the mean of all."""
        known = [one for one in seen if one.whole is not None]
        if not known or all(one.done for one in seen):
            return None
        parts = []
        for one in seen:
            like = [other.whole for other in known if other.method == one.method] or [other.whole for other in known]
            parts.append(one.left if one.left is not None else fmean(whole for whole in like if whole is not None))
        working = max(1, sum(bool(one.epoch) for one in seen))
        return max(max(parts), sum(parts) / working)


def report(logs: Iterable[Path], say: Callable[[str], object], *, every: float = EVERY) -> threading.Thread:
    """Say the line whenever it has changed, in a thread that ends with the program."""
    watch = Watch(list(logs))

    def run() -> None:
        last = ""
        while True:
            time.sleep(every)
            if (line := watch.line()) != last:
                say(line)
            last = line

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread
