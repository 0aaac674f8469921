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
from lgsf.system.files import read_arrays, write_arrays

FILE = "relevance.npz"


@dataclass(frozen=True)
class Relevance:
    """A run's relevance.npz: set -> direction -> (query, rank), and why sets are absent."""

    sets: Mapping[str, Mapping[str, tuple[Ints, Ints]]]
    absent: Mapping[str, str]


def write_relevance(
    folder: Path, ranks: RelevanceRanks, positives: Mapping[str, Positives], absent: Mapping[str, str]
) -> None:
    """Write `<folder>/relevance.npz`, also where every set is absent."""
    facts = {"sources": {name: dict(found.source) for name, found in positives.items()}, "absent": dict(absent)}
    arrays: dict[str, npt.NDArray[Any]] = {**ranks.arrays(), "facts": np.array(json.dumps(facts, sort_keys=True))}
    write_arrays(folder / FILE, arrays)


def read_relevance(folder: Path, *, hint: str) -> Relevance:
    """The file that `write_relevance` left; LgsfError where it is missing or broken."""
    arrays = read_arrays(folder / FILE, hint=hint)
    facts = json.loads(str(arrays["facts"]))
    sets = {
        name: {d: (arrays[f"{name}_{d}_query"], arrays[f"{name}_{d}_rank"]) for d in DIRECTIONS}
        for name in facts["sources"]
    }
    return Relevance(sets, facts["absent"])
