"""Main effects and interactions of a two-level factorial: what does each part do, and does it depend on the others?

Every combination of k parts is a method (a cell). An effect is a contrast of the 2^k cell means with weights
+-1 / 2^(k-1): the sign is the product, over the parts in the effect, of +1 where the part is on and -1 where it is
off. A main effect is the mean of all cells with the part on minus the mean of those with it off; an interaction of
two parts is half of how much the effect of one changes when the other is switched on. In a regression with levels
-1 and +1 an effect is twice the coefficient (Box, Hunter & Hunter, Statistics for Experimenters, chapter 5).

Effects are about methods. Seeds vary within each cell, images are shared by all cells, so the variance is the sum
of weight^2 x seed variance / runs and the image-cluster variance of the contrast (lgsf.statistics.variance). Seeds of
different cells count as independent; where equal seeds make runs alike, that errs on the safe side.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lgsf.metrics.names import KEY_METRICS, PRIMARY, TESTED
from lgsf.statistics.corrections import benjamini_hochberg, holm
from lgsf.statistics.equivalence import ALPHA, equivalence_words, smallest_detectable
from lgsf.statistics.outcomes import Floats, Outcomes, ProtocolName, Ranks, outcomes
from lgsf.statistics.tests import LEAST_SEEDS
from lgsf.statistics.variance import VarianceTable
from lgsf.system.errors import LgsfError

TIMES = ":"  # between the parts of an interaction: "gat:triangle"
EFFECT_COLUMNS = {
    "effect": "the part, or the parts of an interaction joined by a colon",
    "order": "parts in the effect: 1 is a main effect",
    "metric": "i2t_r1, t2i_r1 or rsum",
    "primary": "belongs to the pre-registered family: main effects on R@1 of both directions",
    "estimate": "the effect in points",
    "low": "95 % interval of the estimate",
    "high": "95 % interval of the estimate",
    "se": "standard error of the estimate",
    "df": "its degrees of freedom",
    "p": "two-sided; NaN (printed n/a) where the design allows no test",
    "p_corrected": "corrected within its family",
    "correction": "holm (primary) or bh (all others)",
    "equivalence": "whether the effect lies within +-0.5 points (rSum +-3), in words",
    "detectable": "smallest true effect found with 80 % power at a single 5 % test",
    "seeds": "runs of the cell that has fewest",
    "finding": "raises, lowers, no effect shown, or n/a",
    "note": "why there is no test, if so",
}


def missing_cells(factors: Sequence[str], cells: Mapping[str, Collection[str]]) -> list[tuple[str, ...]]:
    """Combinations of parts that no cell has, each as the parts that are on; cells are method -> its parts."""
    have = {frozenset(parts) for parts in cells.values()}
    return [on for on in combinations(factors, least=0) if frozenset(on) not in have]


def combinations(factors: Sequence[str], *, least: int = 1) -> Iterator[tuple[str, ...]]:
    """All sets of at least `least` factors: singles, then pairs, then triples."""
    for order in range(least, len(factors) + 1):
        yield from itertools.combinations(factors, order)


def effect_weights(effect: Collection[str], cells: Mapping[str, Collection[str]]) -> dict[str, float]:
    """Weight of each cell's mean in the effect; +-2 / number of cells."""
    return {
        method: math.prod(1 if factor in parts else -1 for factor in effect) * 2.0 / len(cells)
        for method, parts in cells.items()
    }


def factorial_effects(
    runs: Mapping[str, Sequence[Ranks]],
    factors: Sequence[str],
    cells: Mapping[str, Collection[str]],
    *,
    protocol: ProtocolName = "full",
) -> pd.DataFrame:
    """All main effects and interactions on one dataset and split, one row per effect and metric (EFFECT_COLUMNS).

    runs     method -> ranks of its runs, one per seed; all on the same queries
    factors  names of the parts, in the order in which they are shown
    cells    method -> the parts that are on in it; every combination exactly once

    Raises LgsfError where a combination is missing or doubled, or a cell has no run.
    """
    _check(runs, factors, cells)
    data = outcomes({method: runs[method] for method in cells}, protocol=protocol)
    variance = VarianceTable(data) if data.seeds.min() >= LEAST_SEEDS else None
    columns = [TESTED.index(metric) for metric in KEY_METRICS]
    rows = []
    for effect in combinations(factors):
        parts = _effect(data, variance, effect_weights(effect, cells))
        for metric, column in zip(KEY_METRICS, columns, strict=True):
            rows.append(
                {
                    **{"effect": TIMES.join(effect), "order": len(effect), "metric": metric},
                    "primary": len(effect) == 1 and metric in PRIMARY,
                    **{name: values[column] for name, values in parts.items()},
                    "seeds": int(data.seeds.min()),
                }
            )
    return _corrected(pd.DataFrame(rows, columns=list(EFFECT_COLUMNS)))


def _check(runs: Mapping[str, Sequence[Ranks]], factors: Sequence[str], cells: Mapping[str, Collection[str]]) -> None:
    unknown = {part for parts in cells.values() for part in parts} - set(factors)
    if unknown:
        raise LgsfError(f"the factorial has no factor {min(unknown)!r}: name one of {', '.join(factors)}.")
    if absent := missing_cells(factors, cells):
        lacking = ", ".join(" + ".join(on) or "every part off" for on in absent)
        raise LgsfError(f"the factorial lacks the cells {lacking}: define a method for each.")
    if len(cells) != 2 ** len(factors):
        raise LgsfError(
            f"the factorial has {len(cells)} cells for {2 ** len(factors)} combinations: remove the double."
        )
    if empty := [method for method in cells if not runs.get(method)]:
        raise LgsfError(f"the cell {empty[0]!r} has no finished run: run it first.")


def _effect(data: Outcomes, variance: VarianceTable | None, weights: Mapping[str, float]) -> dict[str, Any]:
    """Estimate and, with enough seeds for a variance, its error; arrays (7,) in the order of TESTED."""
    by_system = {data.systems.index(method): weight for method, weight in weights.items()}
    means = data.system_recalls()
    estimate: Floats = np.sum([weight * means[system] for system, weight in by_system.items()], axis=0)
    if variance is None:
        note = f"needs {LEAST_SEEDS} seeds of every cell, {data.systems[data.seeds.argmin()]} has {data.seeds.min()}"
        untested = dict.fromkeys(("low", "high", "se", "df", "p", "detectable"), np.full(len(TESTED), np.nan))
        words = {"equivalence": ["n/a"] * len(TESTED), "note": [note] * len(TESTED)}
        return {"estimate": estimate, **untested, **words}
    error = variance.contrast(by_system)
    width = error.half_width()
    return {
        **{"estimate": estimate, "low": estimate - width, "high": estimate + width, "se": error.se, "df": error.df},
        **{"p": error.p(estimate), "detectable": smallest_detectable(error.se, error.df)},
        "equivalence": equivalence_words(estimate, error, len(data.captions)),
        "note": [""] * len(TESTED),
    }


def _corrected(table: pd.DataFrame) -> pd.DataFrame:
    """Fill p_corrected, correction and finding: Holm over the primary family, Benjamini-Hochberg over the rest."""
    table["correction"] = np.where(table["primary"], "holm", "bh")
    for primary, group in table.groupby("primary"):
        adjust = holm if primary else benjamini_hochberg
        table.loc[group.index, "p_corrected"] = adjust(group["p"].to_numpy(np.float64))
    pairs = zip(table["estimate"], table["p_corrected"], strict=True)
    table["finding"] = [_finding(float(estimate), float(p)) for estimate, p in pairs]
    return table.astype({"p_corrected": np.float64, "primary": np.bool_})


def _finding(estimate: float, p_corrected: float) -> str:
    if math.isnan(p_corrected):
        return "n/a"
    if p_corrected >= ALPHA or estimate == 0:
        return "no effect shown"
    return "raises" if estimate > 0 else "lowers"
