"""The verdict on our runs beside published ones - reproduced, above, below, not comparable - and on the claim.

The tolerance is not invented: both numbers were measured on the same test images, so they differ by what the
training seed does, ours (s_own over n runs) and theirs (one run, s_published from Rao et al., SIGIR 2022):
reproduced iff |difference| <= 2 sqrt(s_own^2 / n + s_published^2), for R@1 of both directions and rSum.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import pandas as pd

from lgsf.metrics.names import KEY_METRICS, metric_label
from lgsf.render.numbers import listing
from lgsf.runs.names import UNKNOWN
from lgsf.system.errors import LgsfError
from lgsf.verdict.claim import CLAIM
from lgsf.verdict.published import FIRST_FOLD, FIVE_FOLDS, PROTOCOLS, Published, Spread

Word = Literal["reproduced", "above", "below", "not comparable"]
BAND = 2.0  # standard deviations
COCO_IMAGES, FOLD_IMAGES, COCO_FOLDS = 5000, 1000, 5
VERDICT_COLUMNS = (
    *("dataset", "method", "published", "protocol", "text", "visual", "ensemble", "source", "line"),
    *("verdict", "reason", "notes", "metric", "seeds", "own", "own_sd", "published_value"),
    *("difference", "tolerance", "metric_verdict"),
)
CLAIM_COLUMNS = (
    *("method", "reference", "metric", "task", "reading", "claimed", "measured", "low", "high", "seeds"),
    *("seeds_reference", "verdict"),
)


@dataclass(frozen=True, kw_only=True)
class Own:
    """The runs of one method on one dataset under one protocol.

    key       name by which published.csv may know the method
    protocol  a key of lgsf.verdict.published.PROTOCOLS, or None with `why_not`; see `published_protocol`
    text, visual, ensemble   inputs, in the words of published.csv (GRU, BiGRU, BERT; BUTD; True for averages);
              "unknown" and None where a run's record does not say
    values    metric -> one value per seed
    """

    dataset: str
    method: str
    key: str
    protocol: str | None
    why_not: str = ""
    text: str
    visual: str
    ensemble: bool | None
    values: Mapping[str, Sequence[float]]


@dataclass(frozen=True, kw_only=True)
class MetricVerdict:
    """One metric of a comparison, in points; tolerance and word are None where it is not comparable."""

    metric: str
    seeds: int
    own: float
    own_sd: float | None
    published: float | None
    tolerance: float | None
    word: Word | None

    @property
    def difference(self) -> float | None:
        return None if self.published is None else self.own - self.published


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A method beside a published row; `reason` says why it is not comparable, `notes` what to keep in mind."""

    own: Own
    row: Published
    word: Word
    reason: str
    notes: tuple[str, ...]
    metrics: tuple[MetricVerdict, ...]


def published_protocol(
    dataset: str, *, images: int, folds: int, protocol: Literal["full", "folds"]
) -> tuple[str | None, str]:
    """(protocol of published.csv, "") for a test split, or (None, why there is none).

    dataset  names that begin with "coco" or "flickr30k" are those datasets in the split of the field
    """
    if dataset.startswith("coco"):
        if images == COCO_IMAGES and protocol == "full":
            return "coco5k", ""
        if images == COCO_IMAGES and folds == COCO_FOLDS:
            return FIVE_FOLDS, ""
        if images == FOLD_IMAGES:
            return FIRST_FOLD, ""
        return None, f"{dataset} has {images} test images in {folds} folds, the papers use 5,000 in one or five"
    if dataset.startswith("flickr30k"):
        if images == FOLD_IMAGES and protocol == "full":
            return "f30k_1k", ""
        return None, f"{dataset} has {images} test images in {folds} folds, the papers rank 1,000 in one"
    return None, f"the table of published numbers has MS-COCO and Flickr30K, not {dataset}"


def verdict(own: Own, row: Published, spread: Sequence[Spread]) -> Verdict:
    """Place a method's runs beside one published row."""
    reason = "; ".join(_differing_inputs(own, row))
    metrics = tuple(_metric(own, row, name, None if reason else _spread_of(row, spread)) for name in KEY_METRICS)
    if reason:
        return Verdict(own=own, row=row, word="not comparable", reason=reason, notes=(), metrics=metrics)
    judged = [m for m in metrics if m.word is not None]
    if not judged:
        reason = "neither R@1 nor rSum was published"
        return Verdict(own=own, row=row, word="not comparable", reason=reason, notes=(), metrics=metrics)
    outside = [m for m in judged if m.word != "reproduced"]
    # directions may disagree: the metric that is furthest out, measured in tolerances, names the verdict
    word = max(outside, key=_excess).word if outside else "reproduced"
    assert word is not None
    return Verdict(
        own=own, row=row, word=word, reason="", notes=tuple(_notes(own, row, spread, judged)), metrics=metrics
    )


def verdict_table(owns: Sequence[Own], rows: Sequence[Published], spread: Sequence[Spread]) -> pd.DataFrame:
    """Every method beside every published row that has its key; one line per metric."""
    verdicts = [verdict(own, row, spread) for own in owns for row in rows if row.key and row.key == own.key]
    table = [
        {
            **{"dataset": v.own.dataset, "method": v.own.method, "published": v.row.method},
            **{"protocol": v.row.protocol, "text": v.row.text, "visual": v.row.visual, "ensemble": v.row.ensemble},
            **{"source": ";".join(v.row.source), "line": v.row.line},
            **{"verdict": v.word, "reason": v.reason, "notes": "; ".join(v.notes)},
            **{"metric": m.metric, "seeds": m.seeds, "own": m.own, "own_sd": m.own_sd},
            **{"published_value": m.published, "difference": m.difference},
            **{"tolerance": m.tolerance, "metric_verdict": m.word},
        }
        for v in verdicts
        for m in v.metrics
    ]
    out = pd.DataFrame(table, columns=list(VERDICT_COLUMNS))
    numbers = ["own", "own_sd", "published_value", "difference", "tolerance"]
    return out.astype(dict.fromkeys(numbers, "float64"))


def claim_table(tests: pd.DataFrame, *, method: str, reference: str) -> pd.DataFrame:
    """The paper's claim in both readings beside our own difference and its 95 % interval.

    tests  as lgsf.statistics.method_tests returns them on COCO with protocol="folds"
    reference    the method whose R@1 the gains are over; the paper does not name it, so it is never implied

    The claim is about methods: below three seeds there is no interval and no verdict.
    """
    chosen = tests[
        (tests["scope"] == "methods")
        & (tests["method"] == method)
        & (tests["other"] == reference)
        & tests["metric"].isin(list(CLAIM))
    ].set_index("metric")
    if set(chosen.index) != set(CLAIM):
        raise LgsfError(f"the tests hold no R@1 of {method!r} against {reference!r}: test these two first.")
    lines = []
    for metric, (task, gain) in CLAIM.items():
        for reading, column, prefix in (("relative", "relative", "relative_"), ("absolute", "difference", "")):
            found = cast("pd.Series[Any]", chosen.loc[metric])
            low, high = float(found[f"{prefix}low"]), float(found[f"{prefix}high"])
            lines.append(
                {
                    **{"method": method, "reference": reference, "metric": metric, "task": task},
                    **{"reading": reading, "claimed": gain, "measured": float(found[column])},
                    **{"low": low, "high": high},
                    **{"seeds": found["seeds"], "seeds_reference": found["seeds_other"]},
                    "verdict": _claim_word(gain, low, high, found),
                }
            )
    return pd.DataFrame(lines, columns=list(CLAIM_COLUMNS))


def _claim_word(gain: float, low: float, high: float, found: pd.Series[Any]) -> str:
    note = str(found["note"])
    if math.isnan(low):
        return f"no verdict: {note}" if note else "no verdict: the reference is at zero"
    if gain > high:
        return "smaller than claimed"
    if gain < low:
        return "larger than claimed"
    if low > 0:
        shown = found["finding"] == "beats"  # corrected for all tests of the family; the interval is not
        return "agrees with the claim" if shown else "agrees with the claim; no gain shown after correction"
    return "agrees with the claim, and with no gain"


def _differing_inputs(own: Own, row: Published) -> Iterator[str]:
    """Everything that makes two numbers answer different questions."""
    if own.protocol is None:
        yield own.why_not
    elif own.protocol != row.protocol:
        yield f"protocol: published is {PROTOCOLS[row.protocol]}, ours {PROTOCOLS[own.protocol]}"
    for what, theirs, ours in (("text encoder", row.text, own.text), ("features", row.visual, own.visual)):
        if "?" in theirs:
            yield f"{what}: its source does not say for certain ({theirs})"
        elif ours == UNKNOWN:
            yield f"{what}: our record does not say which"
        elif theirs != ours:
            yield f"{what}: published with {theirs}, ours with {ours}"
    if row.ensemble is None:
        yield "ensemble: its source does not say whether several models were averaged"
    elif own.ensemble is None:
        yield "ensemble: our record does not say whether several models were averaged"
    elif row.ensemble != own.ensemble:
        kinds = {True: "an average of several models", False: "a single model"}
        yield f"ensemble: published is {kinds[row.ensemble]}, ours {kinds[own.ensemble]}"


def _spread_of(row: Published, spread: Sequence[Spread]) -> Mapping[str, float]:
    """Published seed SDs of this method, or the median over the methods for which they are known."""
    for known in spread:
        if known.key == row.key:
            return known.sd
    return {metric: statistics.median(known.sd[metric] for known in spread) for metric in KEY_METRICS}


def _metric(own: Own, row: Published, metric: str, published_sd: Mapping[str, float] | None) -> MetricVerdict:
    values = [float(value) for value in own.values[metric]]
    mean = statistics.fmean(values)
    own_sd = statistics.stdev(values) if len(values) > 1 else None
    target = row.values.get(metric)
    tolerance: float | None = None
    word: Word | None = None
    if published_sd is not None and target is not None:
        theirs = published_sd[metric]
        # one run shows no spread of its own; it is taken to vary as the published runs do
        tolerance = BAND * math.sqrt((theirs if own_sd is None else own_sd) ** 2 / len(values) + theirs**2)
        difference = mean - target
        word = "reproduced" if abs(difference) <= tolerance + 1e-9 else "above" if difference > 0 else "below"
    return MetricVerdict(
        metric=metric, seeds=len(values), own=mean, own_sd=own_sd, published=target, tolerance=tolerance, word=word
    )


def _excess(judged: MetricVerdict) -> float:
    assert judged.difference is not None and judged.tolerance is not None
    return abs(judged.difference) / judged.tolerance if judged.tolerance else math.inf


def _notes(own: Own, row: Published, spread: Sequence[Spread], judged: Sequence[MetricVerdict]) -> Iterator[str]:
    if judged[0].seeds == 1:
        yield "single seed: its spread is taken from the published runs"
    source = next((known for known in spread if known.key == row.key), None)
    if source is None:
        yield f"spread: median of the {len(spread)} methods of Rao et al. (Flickr30K)"
    else:
        yield f"spread: {source.runs} runs of {source.method} by Rao et al. (Flickr30K)"
    absent = [metric for metric in KEY_METRICS if metric not in row.values]
    if absent:
        yield f"not published: {listing([metric_label(metric) for metric in absent])}"
    if len({m.word for m in judged}) > 1:
        yield "metrics differ: " + listing([f"{metric_label(m.metric)} {m.word}" for m in judged])
