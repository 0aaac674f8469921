"""The table of tests: difference, interval, p, effect and equivalence for every pair of methods and metric.

Two scopes, never mixed. "checkpoints": these trained models differ on such queries (randomisation and
bootstrap over images; seeds are taken as they are). "methods": the methods differ, whatever the seed (seed
and image variance together); only this one may say "beats", and only from three seeds on in both arms.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from lgsf.metrics.names import PRIMARY, TESTED
from lgsf.statistics.bootstrap import bootstrap_recalls, percentile_interval
from lgsf.statistics.corrections import benjamini_hochberg, holm
from lgsf.statistics.equivalence import ALPHA, equivalence_words, smallest_detectable, tost
from lgsf.statistics.outcomes import Floats, Outcomes, ProtocolName, Ranks, outcomes
from lgsf.statistics.randomisation import mcnemar, randomisation_p, signed_recalls
from lgsf.statistics.variance import Error, VarianceTable
from lgsf.system.errors import LgsfError

LEAST_SEEDS = 3
ABSENT = np.full(len(TESTED), np.nan)  # where a design has no such number, for every metric
WORDLESS = [""] * len(TESTED)
UNTESTED = (
    *("se", "df", "effect", "detectable", "low", "high", "relative_low", "relative_high"),
    *("p", "p_equivalence", "p_mcnemar", "superiority"),
)
COLUMNS = {
    "scope": "checkpoints or methods, see above",
    "method": "the system that the row is about",
    "other": "the system it is compared with",
    "metric": "i2t_r1 ... t2i_r10 or rsum",
    "protocol": "full: the whole split; folds: inside each query's fold",
    "primary": "belongs to the pre-registered family: R@1 of both directions against the reference",
    "seeds": "runs of method",
    "seeds_other": "runs of other",
    "value": "mean over the runs of method, percent (rSum: sum of six)",
    "value_other": "mean over the runs of other",
    "difference": "value - value_other, points",
    "low": "95 % interval of difference",
    "high": "95 % interval of difference",
    "relative": "difference in percent of value_other",
    "relative_low": "95 % interval of relative",
    "relative_high": "95 % interval of relative",
    "se": "standard error of difference",
    "df": "its degrees of freedom",
    "effect": "difference in standard deviations of the per-image difference",
    "superiority": "methods: share of seed pairs in which method is above other, ties half",
    "p": "two-sided; NaN (printed n/a) where the design allows no test",
    "p_corrected": "corrected within scope and family",
    "correction": "holm (primary) or bh (all others)",
    "p_mcnemar": "exact McNemar, i2t of single checkpoints only",
    "p_equivalence": "two one-sided tests at +-0.5 points (rSum +-3)",
    "equivalence": "its verdict in words",
    "detectable": "smallest true difference found with 80 % power at a single 5 % test",
    "finding": "the sentence's verb",
    "note": "why there is no test, if so",
}


def method_tests(
    runs: Mapping[str, Sequence[Ranks]],
    reference: str,
    *,
    pairs: Literal["reference", "all"] = "reference",
    protocol: ProtocolName = "full",
    resamples: int = 10_000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare every method with the reference, or all pairs, on one dataset and split.

    runs       method -> ranks of its runs, one per seed; all on the same queries
    protocol   "folds" ranks every query inside its fold (COCO 1K), "full" in the whole split (COCO 5K)
    resamples  of the bootstrap and of the randomisation test; their seed makes the table repeatable

    Returns one row per scope, pair and metric with the columns of COLUMNS. To compare single checkpoints with
    each other pass each as a method of one run. Raises LgsfError if the reference is not among the runs or
    runs answered different queries.
    """
    if reference not in runs:
        raise LgsfError(f"no run of the reference {reference!r}; there are {', '.join(sorted(runs)) or 'none'}.")
    data = outcomes(runs, protocol=protocol)
    tests = _Tests(data, protocol, resamples, seed)
    base = data.systems.index(reference)
    others = [index for index in range(len(data.systems)) if index != base]
    chosen = [(index, base) for index in others]
    if pairs == "all":
        chosen += list(itertools.combinations(others, 2))
    rows = [row for a, b in chosen for row in tests.rows(a, b, primary=b == base)]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return _corrected(table)


def format_p(p: float | None) -> str:
    """`0.034`, `<0.001`, or `n/a` where there is no p."""
    if p is None or math.isnan(p):
        return "n/a"
    return "<0.001" if p < 0.001 else f"{p:.3f}"


class _Tests:
    """Everything that is computed once for all pairs, and the rows of one pair."""

    def __init__(self, data: Outcomes, protocol: ProtocolName, resamples: int, seed: int) -> None:
        self._data, self._protocol = data, protocol
        self._values, self._runs = data.system_recalls(), data.recalls()
        self._variance = VarianceTable(data)
        self._resampled = bootstrap_recalls(data, resamples=resamples, seed=seed)
        self._swapped = signed_recalls(data, resamples=resamples, seed=seed)

    def rows(self, a: int, b: int, *, primary: bool) -> Iterator[dict[str, Any]]:
        common: dict[str, Any] = {
            "method": self._data.systems[a],
            "other": self._data.systems[b],
            "protocol": self._protocol,
            "seeds": int(self._data.seeds[a]),
            "seeds_other": int(self._data.seeds[b]),
        }
        difference = self._values[a] - self._values[b]
        relative = _percent(difference, self._values[b])
        for scope, parts in (("checkpoints", self._checkpoints(a, b)), ("methods", self._methods(a, b))):
            for column, metric in enumerate(TESTED):
                yield {
                    **common,
                    "scope": scope,
                    "metric": metric,
                    "primary": primary and metric in PRIMARY,
                    "value": self._values[a, column],
                    "value_other": self._values[b, column],
                    "difference": difference[column],
                    "relative": relative[column],
                    **{name: values[column] for name, values in parts.items()},
                }

    def _checkpoints(self, a: int, b: int) -> dict[str, Any]:
        error = self._variance.checkpoints(a, b)
        first, second = self._resampled[:, a], self._resampled[:, b]
        low, high = percentile_interval(first - second)
        relative_low, relative_high = percentile_interval(_percent(first - second, second))
        p = randomisation_p(self._values[a] - self._values[b], self._swapped[:, a] - self._swapped[:, b])
        return {
            **self._shared(a, b, error),
            **{"low": low, "high": high, "relative_low": relative_low, "relative_high": relative_high},
            **{"p": p, "p_mcnemar": self._mcnemar(a, b), "superiority": ABSENT, "note": WORDLESS},
        }

    def _methods(self, a: int, b: int) -> dict[str, Any]:
        seeds = self._data.seeds
        if min(seeds[a], seeds[b]) < LEAST_SEEDS:
            note = f"needs {LEAST_SEEDS} seeds of both methods, has {seeds[a]} and {seeds[b]}"
            return {
                **dict.fromkeys(UNTESTED, ABSENT),
                "equivalence": ["n/a" for _ in TESTED],
                "note": [note for _ in TESTED],
            }
        error = self._variance.methods(a, b)
        difference = self._values[a] - self._values[b]
        relative = _percent(difference, self._values[b])
        # delta method for a / b - 1
        base = np.where(self._values[b] > 0, self._values[b], np.nan)
        relative_error = self._variance.methods(a, b, 100.0 / base, -100.0 * self._values[a] / base**2)
        width, relative_width = error.half_width(), relative_error.half_width()
        return {
            **self._shared(a, b, error),
            **{"low": difference - width, "high": difference + width},
            **{"relative_low": relative - relative_width, "relative_high": relative + relative_width},
            **{"p": error.p(difference), "p_mcnemar": ABSENT},
            **{"superiority": self._superiority(a, b), "note": WORDLESS},
        }

    def _shared(self, a: int, b: int, error: Error) -> dict[str, Any]:
        difference = self._values[a] - self._values[b]
        n_images = len(self._data.captions)
        spread = np.sqrt(self._variance.checkpoints(a, b).images * n_images)
        return {
            "se": error.se,
            "df": error.df,
            "effect": np.divide(difference, spread, out=np.full(len(TESTED), np.nan), where=spread > 0),
            "p_equivalence": tost(difference, error.se, error.df),
            "equivalence": equivalence_words(difference, error, n_images),
            "detectable": smallest_detectable(error.se, error.df),
        }

    def _superiority(self, a: int, b: int) -> Floats:
        first, second = self._runs[self._data.members == a], self._runs[self._data.members == b]
        above = first[:, None] - second[None]
        return np.asarray(((above > 0) + 0.5 * (above == 0)).mean(axis=(0, 1)), np.float64)

    def _mcnemar(self, a: int, b: int) -> Floats:
        out = np.full(len(TESTED), np.nan)
        if self._data.seeds[a] == self._data.seeds[b] == 1:
            hits = self._data.system_hits()
            for column in range(3):
                out[column] = mcnemar(hits[:, a, column] > 0, hits[:, b, column] > 0).p
        return out


def _percent(part: Floats, whole: Floats) -> Floats:
    """100 part / whole, NaN where whole is zero."""
    empty = np.full(np.broadcast(part, whole).shape, np.nan)
    return np.asarray(np.divide(100.0 * part, whole, out=empty, where=whole > 0), np.float64)


def _corrected(table: pd.DataFrame) -> pd.DataFrame:
    """Fill p_corrected, correction and finding; families are (scope, primary or not)."""
    table["correction"] = np.where(table["primary"], "holm", "bh")
    for _, group in table.groupby(["scope", "primary"]):
        adjust = holm if group["primary"].iloc[0] else benjamini_hochberg
        table.loc[group.index, "p_corrected"] = adjust(group["p"].to_numpy(np.float64))
    columns = (table["scope"], table["difference"], table["p_corrected"])
    table["finding"] = [finding(str(c), float(d), float(p)) for c, d, p in zip(*columns, strict=True)]
    return table.astype({"p_corrected": np.float64, "primary": np.bool_})


def finding(scope: str, difference: float, p_corrected: float) -> str:
    """The verb between the two systems; only what holds for methods may say "beats"."""
    if math.isnan(p_corrected):
        return "n/a"
    if p_corrected >= ALPHA or difference == 0:
        return "no difference shown"
    if scope == "methods":
        return "beats" if difference > 0 else "is beaten by"
    return "scored higher than" if difference > 0 else "scored lower than"
