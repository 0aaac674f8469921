"""Tests of twin accuracies: methods against a reference and against chance, seeds and pairs of twins both varying.

A question about twins is a caption's query with two candidates, and the pair of twins is its cluster as an image is for
retrieval: so the errors are those of lgsf.statistics.variance, with pairs in the place of images.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from lgsf.metrics.names import RECALLS, TWIN
from lgsf.statistics.corrections import holm
from lgsf.statistics.equivalence import ALPHA
from lgsf.statistics.outcomes import Outcomes
from lgsf.statistics.tests import LEAST_SEEDS, finding
from lgsf.statistics.variance import Error, VarianceTable
from lgsf.system.errors import LgsfError

CHANCE = "chance"  # what every method is compared with beside the reference
COIN = 50.0
TWIN_COLUMNS = {
    "method": "the system that the row is about",
    "other": "the reference, or `chance`",
    "metric": "twin_attribute, twin_relation, ...",
    "seeds": "runs of method",
    "seeds_other": "runs of other, 0 for chance",
    "questions": "captions that are false of the twin",
    "pairs": "pairs of twins behind them",
    "value": "mean accuracy of method, percent",
    "value_other": "that of other, or 50",
    "difference": "value - value_other, points",
    "low": "95 % interval of difference",
    "high": "95 % interval of difference",
    "se": "standard error of difference",
    "df": "its degrees of freedom",
    "p": "two-sided; NaN (printed n/a) below three seeds",
    "p_corrected": "by Holm over the methods, for each metric and other",
    "finding": "the sentence's verb, as of methods",
    "divisions": "ways to divide the runs of both into two sets of their numbers, 0 against chance",
    "alarms": "of these, how many have p < 0.05: a test at 5 % may raise that share if the methods are equal",
}
_COLUMN = RECALLS.index("t2i_r1")
Answered = Mapping[str, Sequence["Answers"]]


class Answers(Protocol):
    """One run's answers, as lgsf.runs.twins reads them: kind, pair and right, one entry for each question."""

    @property
    def kind(self) -> npt.NDArray[np.str_]: ...
    @property
    def pair(self) -> npt.NDArray[np.int64]: ...
    @property
    def right(self) -> npt.NDArray[np.bool_]: ...


def twin_tests(runs: Answered, reference: str) -> pd.DataFrame:
    """Every method against the reference, and every method against chance, for each kind of twins.

    runs  method -> answers of its runs, one per seed, all to the same questions. Columns are TWIN_COLUMNS.

    Raises LgsfError if the reference is not among the runs, or runs answered different questions.
    """
    if reference not in runs:
        raise LgsfError(f"no run of the reference {reference!r}; there are {', '.join(sorted(runs)) or 'none'}.")
    first = runs[reference][0]
    for answers in itertools.chain.from_iterable(runs.values()):
        if not (np.array_equal(answers.kind, first.kind) and np.array_equal(answers.pair, first.pair)):
            raise LgsfError("runs answered different questions about twins: evaluate all on the same data.")
    tables = [_of_one_kind(runs, reference, str(kind)) for kind in np.unique(first.kind)]
    if not tables:
        return pd.DataFrame(columns=list(TWIN_COLUMNS))
    return pd.concat(tables, ignore_index=True)


def twin_outcomes(runs: Answered, kind: str) -> Outcomes:
    """The answers as hits of t2i queries, pairs in the place of images; the other columns repeat them."""
    listed = [answers for group in runs.values() for answers in group]
    chosen = listed[0].kind == kind
    pairs, pair = np.unique(listed[0].pair[chosen], return_inverse=True)
    right = [np.bincount(pair, weights=answers.right[chosen], minlength=len(pairs)) for answers in listed]
    hits = np.stack(right, axis=1).astype(np.float32)
    return Outcomes(
        systems=tuple(runs),
        members=np.repeat(np.arange(len(runs)), [len(group) for group in runs.values()]),
        hits=np.repeat(hits[:, :, None], len(RECALLS), axis=2),
        captions=np.bincount(pair, minlength=len(pairs)).astype(np.float64),
        fold=np.zeros(len(pairs), np.int64),
    )


def _of_one_kind(runs: Answered, reference: str, kind: str) -> pd.DataFrame:
    data = twin_outcomes(runs, kind)
    variance, values = VarianceTable(data), data.system_recalls()[:, _COLUMN]
    base = data.systems.index(reference)
    rows = []
    for index, method in enumerate(data.systems):
        for other in (reference, CHANCE):
            if method == other:
                continue
            against = [index] if other == CHANCE else [index, base]
            seeds = data.seeds[against]
            value_other = COIN if other == CHANCE else float(values[base])
            row: dict[str, Any] = {
                **{"method": method, "other": other, "metric": f"{TWIN}{kind}"},
                **{"seeds": int(seeds[0]), "seeds_other": int(seeds[1]) if len(seeds) > 1 else 0},
                **{"questions": int(data.captions.sum()), "pairs": len(data.captions)},
                **{"value": float(values[index]), "value_other": value_other},
                "difference": float(values[index]) - value_other,
                **dict.fromkeys(("low", "high", "se", "df", "p"), math.nan),
                **{"divisions": 0, "alarms": 0},
            }
            if seeds.min() >= LEAST_SEEDS:
                weights = dict(zip(against, (1.0, -1.0), strict=False))
                row |= _tested(variance.contrast(weights), row["difference"])
                if other != CHANCE:
                    row["divisions"], row["alarms"] = _alarms(runs[method], runs[reference], kind)
            rows.append(row)
    table = pd.DataFrame(rows)
    for _, group in table.groupby("other"):
        table.loc[group.index, "p_corrected"] = holm(group["p"].to_numpy(np.float64))
    differences = zip(table["difference"], table["p_corrected"], strict=True)
    table["finding"] = [finding("methods", float(d), float(p)) for d, p in differences]
    return table[list(TWIN_COLUMNS)]


def _tested(error: Error, difference: float) -> dict[str, float]:
    width = float(error.half_width()[_COLUMN])
    return {
        **{"low": difference - width, "high": difference + width},
        **{"se": float(error.se[_COLUMN]), "df": float(error.df[_COLUMN])},
        "p": float(error.p(np.full(len(error.se), difference))[_COLUMN]),
    }


def _alarms(first: Sequence[Answers], second: Sequence[Answers], kind: str) -> tuple[int, int]:
    """How many ways there are to divide all runs into sets of these sizes, and in how many p falls below 5 %.

    Of two methods that are the same, every division is as good as the one by their names.
    """
    pooled = [*first, *second]
    divisions = alarms = 0
    for chosen in itertools.combinations(range(len(pooled)), len(first)):
        if len(first) == len(second) and 0 not in chosen:
            continue  # the same two sets the other way round
        rest = [run for k, run in enumerate(pooled) if k not in chosen]
        data = twin_outcomes({"a": [pooled[k] for k in chosen], "b": rest}, kind)
        values = data.system_recalls()[:, _COLUMN]
        p = VarianceTable(data).methods(0, 1).p(np.full(len(RECALLS) + 1, values[0] - values[1]))[_COLUMN]
        divisions, alarms = divisions + 1, alarms + int(p < ALPHA)
    return divisions, alarms
