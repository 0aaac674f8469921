"""From ranks to the metrics of lgsf.metrics.names: one function per measure, and their sum."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from lgsf.metrics.ranking import Ints

RECALL_AT = (1, 5, 10)
Function = Callable[[Ints], float]


def recall_at(ranks: Ints, *, k: int) -> float:
    """Share of queries in percent with a right candidate among the first k (elsewhere called hit rate)."""
    return 100.0 * float((ranks < k).mean())


FUNCTIONS: dict[str, Function] = {f"r{k}": partial(recall_at, k=k) for k in RECALL_AT}


def measure(function: Function) -> Function:
    """Make a function of the 0-based ranks (n_queries,) of one direction the measure of its name."""
    FUNCTIONS[function.__name__] = function
    return function


@measure
def medr(ranks: Ints) -> float:
    """Median rank, 1 is the best; the lower one of two."""
    return float(np.floor(np.median(ranks))) + 1


@measure
def meanr(ranks: Ints) -> float:
    """Mean rank, 1 is the best."""
    return float(ranks.mean()) + 1


def metrics(i2t: Ints, t2i: Ints) -> dict[str, float]:
    """Every measure of both directions by its name in the tables, and rSum, the sum of all recalls (0..600).

    i2t, t2i  0-based ranks (n_images,) and (n_captions,) int
    """
    sides = {"i2t": np.asarray(i2t), "t2i": np.asarray(t2i)}
    out = {f"{side}_{name}": function(ranks) for side, ranks in sides.items() for name, function in FUNCTIONS.items()}
    out["rsum"] = sum(out[f"{side}_r{k}"] for side in sides for k in RECALL_AT)
    return out
