"""Names that the configuration, the workflow and the stages share."""

from __future__ import annotations

CONTROLS = ("random", "oracle", "truth")
RESERVED_DATASETS = ("tables", "tuned", "benchmarks", "downloads")  # folders that stand beside those of the datasets


EVAL_INTERACTION = ("off", "file", "shuffled", "one_per_image")  # how LGSF's interaction could enter evaluation


ENSEMBLE_MARK = " (ensemble)"


def ensemble_title(title: str) -> str:
    """The title with the mark that every ensemble carries wherever it is shown."""
    return title if title.endswith(ENSEMBLE_MARK) else title + ENSEMBLE_MARK


IMPORTED_MARK = " (imported)"


def imported_title(title: str) -> str:
    """The title with the mark that every model carries whose scores or weights come from elsewhere."""
    return title if title.endswith(IMPORTED_MARK) else title + IMPORTED_MARK


ZERO_SHOT_MARK = " (zero-shot)"


def zero_shot_title(title: str) -> str:
    """The title with the mark that every model carries which was trained elsewhere."""
    return title if title.endswith(ZERO_SHOT_MARK) else title + ZERO_SHOT_MARK
