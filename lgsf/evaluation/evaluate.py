"""Rank dev and test with a trained run: the exact protocol of the field, from weights to ranks.npz."""

from __future__ import annotations

from pathlib import Path

from lgsf.evaluation.explain import write_gallery
from lgsf.evaluation.protocol import rank_and_write
from lgsf.runs.opened import open_run
from lgsf.runs.origin import WEIGHTS


def evaluate(*, run: Path, dataset: Path, memory_mb: int) -> None:
    """Write dev and test ranks of a trained run, and for the gallery what it attends to on test.

    Raises LgsfError when the run was trained on other data or its weights do not fit.
    """
    opened = open_run(run, dataset)
    for name in ("dev", "test"):
        split = opened.data.split(name)
        origin = {"weights": opened.weights[WEIGHTS]}
        rank_and_write(run / name, opened.data, split, opened.scores(split, memory_mb), made_from=origin)
        if name == "test":
            origin |= {"split": name, "dataset": opened.data.sha256}
            write_gallery(
                run / name, opened.method, opened.data.name, split, opened.vocabulary,
                device=opened.device, made_from=origin,
            )  # fmt: skip
