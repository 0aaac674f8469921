"""Who tells twins apart: the answers to a split's twin questions, from its top.npz."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lgsf.runs.names import EVALUATE_AGAIN, SPLIT
from lgsf.runs.origin import read_evaluated
from lgsf.runs.ranks import JUDGED_ARRAYS, TWIN
from lgsf.system.errors import LgsfError


@dataclass(frozen=True)
class TwinAnswers:
    """One question for each caption that is true of its image and false of the image's twin.

    kind   (n,) str: which kind of twins, without the ending
    pair   (n,) int64: the pair of images, named by its first row
    right  (n,) bool: does the own image score higher? A tie counts against the model.
    """

    kind: npt.NDArray[np.str_]
    pair: npt.NDArray[np.int64]
    right: npt.NDArray[np.bool_]

    def accuracy(self) -> dict[str, float]:
        """`twin_<kind>` -> share of right answers in percent."""
        return {
            f"twin_{name}": 100.0 * float(self.right[self.kind == name].mean())
            for name in np.unique(self.kind).tolist()
        }


def read_twins(folder: Path, split: str = SPLIT) -> TwinAnswers | None:
    """The answers of a run's split; None where it has no judged pairs.

    Judged rows of a kind that ends in "_twin" come in twos: the own pair (grade 1), then its twin (grade 0).
    Raises LgsfError where they do not.
    """
    path = folder / split / "top.npz"
    arrays = read_evaluated(path.parent, path.name)
    if JUDGED_ARRAYS[0] not in arrays or not len(arrays[JUDGED_ARRAYS[0]]):
        return None
    for name in JUDGED_ARRAYS:
        if name not in arrays or len(arrays[name]) != len(arrays["judged_score"]):
            raise LgsfError(f"{path}: {name} is missing or not as long as judged_score: {EVALUATE_AGAIN}.")
    kind = arrays["judged_kind"].astype(str)
    rows = np.flatnonzero(np.char.endswith(kind, TWIN))
    score, grade, kind = arrays["judged_score"][rows], arrays["judged_grade"][rows], kind[rows]
    image = arrays["judged_image"][rows].astype(np.int64)
    own, twin = slice(0, None, 2), slice(1, None, 2)
    paired = len(rows) % 2 == 0 and bool((kind[own] == kind[twin]).all())
    if not paired or (grade[own] != 1).any() or (grade[twin] != 0).any():
        raise LgsfError(f"{path}: the judged twins do not alternate own pair, twin: {EVALUATE_AGAIN}.")
    names = np.array([name.removesuffix(TWIN) for name in kind[own].tolist()], np.str_)
    return TwinAnswers(names, np.minimum(image[own], image[twin]), score[own] > score[twin])


def twin_accuracy(folder: Path, split: str = SPLIT) -> dict[str, float]:
    """Share of twin questions in percent that a run answers rightly, per kind of twin; {} without judged pairs."""
    answers = read_twins(folder, split)
    return {} if answers is None else answers.accuracy()
