"""A run's relevance.npz: ranks of everything that is right; written here, read here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lgsf.metrics.relevance import DIRECTIONS, Ints, Positives, RelevanceRanks
from lgsf.runs.names import EVALUATE_AGAIN
from lgsf.runs.origin import read_evaluated, write_evaluated
from lgsf.system.errors import LgsfError

FILE = "relevance.npz"


@dataclass(frozen=True)
class Relevance:
    """A run's relevance.npz: set -> direction -> (query, rank), and why sets are absent."""

    sets: Mapping[str, Mapping[str, tuple[Ints, Ints]]]
    absent: Mapping[str, str]


def write_relevance(
    folder: Path,
    ranks: RelevanceRanks,
    positives: Mapping[str, Positives],
    absent: Mapping[str, str],
    made_from: Mapping[str, Any],
) -> None:
    """Write `<folder>/relevance.npz`, also where every set is absent."""
    facts = {"sources": {name: dict(found.source) for name, found in positives.items()}, "absent": dict(absent)}
    arrays: dict[str, npt.NDArray[Any]] = {**ranks.arrays(), "facts": np.array(json.dumps(facts, sort_keys=True))}
    write_evaluated(folder / FILE, arrays, made_from)


def read_relevance(folder: Path) -> Relevance:
    """The file that `write_relevance` left; LgsfError where it is missing, broken or not of this run."""
    arrays = read_evaluated(folder, FILE)
    try:
        facts = json.loads(str(arrays["facts"]))
        sets = {
            name: {d: (arrays[f"{name}_{d}_query"], arrays[f"{name}_{d}_rank"]) for d in DIRECTIONS}
            for name in facts["sources"]
        }
        return Relevance(sets, facts["absent"])
    except (KeyError, TypeError, ValueError) as error:
        raise LgsfError(f"{folder / FILE} lacks what it should hold ({error}): {EVALUATE_AGAIN}.") from None
