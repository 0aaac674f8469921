"""How hard queries are: which of them every run finds, which some do, which none, and who alone finds one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

RECALL_AT = (1, 10)


def found_by(ranks: Sequence[npt.NDArray[np.integer[Any]]], *, k: int) -> npt.NDArray[np.float64]:
    """(n_runs + 1,) percent of queries that exactly 0, 1, ... n_runs runs find among the first k.

    ranks  0-based ranks (n_queries,) of every run, queries in the same order
    """
    runs = (np.stack(ranks) < k).sum(axis=0)
    shares: npt.NDArray[np.float64] = 100.0 * np.bincount(runs, minlength=len(ranks) + 1) / len(runs)
    return shares


def found_alone(ranks: Mapping[str, Sequence[npt.NDArray[np.integer[Any]]]], *, k: int) -> dict[str, float]:
    """Per method, percent of queries that at least one of its runs finds and no run of another method does."""
    found = {method: (np.stack(own) < k).any(axis=0) for method, own in ranks.items()}
    methods = np.sum(list(found.values()), axis=0)
    return {method: 100.0 * float((own & (methods == 1)).mean()) for method, own in found.items()}
