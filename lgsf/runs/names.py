"""What writers and readers of a run agree on beside its files: names, and what to do where a file is at fault."""

from __future__ import annotations

SPLIT = "test"
UNKNOWN = "unknown"
EVALUATE_AGAIN = "evaluate the run again"
TRAIN_AGAIN = "run the training command of this run again"
NO_COMPARISON = (
    "of the transductive diagnostic, whose scores depend on the other test queries: they stand in no comparison; "
    "move them back into the run's folder 'transductive'."
)
APART = ("control", "zero_shot")  # kinds of runs that stand in tables and compete with nobody
