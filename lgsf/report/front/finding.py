"""What was found, in a sentence that a stranger understands, and the numbers behind it."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import pandas as pd

from lgsf.metrics.names import KEY_METRICS, PRIMARY, metric_label
from lgsf.render.numbers import decimal, interval, listing, mean_sd
from lgsf.report.collected import Collected
from lgsf.report.groups import ABLATIONS, BASELINES, ENSEMBLES, method_groups
from lgsf.report.seeds import seeds_told
from lgsf.report.tested import BEATEN, BEATS, UNTESTED, tested_subject
from lgsf.statistics import LEAST_SEEDS
from lgsf.tables.inputs import single_models
from lgsf.verdict.claim import CLAIM, NOT_TESTABLE
from lgsf.verdict.judge import NOT_APPLICABLE

EFFECTS = ("raises", "lowers")
NOT_SHOWN = "was not shown to differ from"
Found = Mapping[Hashable, Mapping[Hashable, Any]]


def headline(found: Collected) -> str:
    """One sentence for each dataset: whom the method under test beats, and whom it was not shown to beat."""
    datasets = found.experiment.datasets
    return " ".join(filter(None, (said(found, dataset) for dataset in datasets for said in (_headline, _effects))))


def details(found: Collected) -> list[str]:
    """The numbers behind the headline, who is highest, and what was claimed: a few sentences for each dataset."""
    sentences: list[str] = []
    for dataset in found.experiment.datasets:
        if _mean(found, dataset, found.subject, "rsum") is not None:
            sentences += [" ".join(_numbers(found, dataset)), " ".join(filter(None, _surroundings(found, dataset)))]
    return sentences


def _headline(found: Collected, dataset: str) -> str:
    protocol = found.protocols(dataset)[0]
    where = f"On {dataset}, {_quoted(found.titles[found.subject])}"
    if _mean(found, dataset, found.subject, "rsum") is None:
        return f"{where} has no finished run."
    said: dict[str, list[str]] = {}
    for reference in found.experiment.references:
        if rows := tested_subject(found, dataset, protocol, reference):
            said.setdefault(_words(rows), []).append(_called(found, dataset, reference))
    if not said:
        return f"{where} {_shares(found, dataset)}; it was compared with nothing."
    order = sorted(said, key=lambda words: NOT_SHOWN in words)
    joint = ", but " if len({NOT_SHOWN in words for words in order}) == 2 else ", and "
    return f"{where} {joint.join(words.format(listing(said[words])) for words in order)}{_untested(found, dataset)}."


def _quoted(title: str) -> str:
    """A name in which a comma would cut the sentence stands in quotation marks."""
    return f"“{title}”" if "," in title else title


def _called(found: Collected, dataset: str, method: str) -> str:
    """`the baseline VSE++`: a stranger does not know what a name stands for."""
    kinds = {BASELINES: "the baseline ", ABLATIONS: "its own ablation ", ENSEMBLES: "the ensemble "}
    group = next((g.label for g in method_groups(found, dataset) if method in g.methods), "")
    return f"{kinds.get(group, '')}{_quoted(found.titles[method])}"


def _words(rows: Found) -> str:
    """What both R@1 say, with a place for the other method: `beats {} in … and was not shown to differ from it in …`."""
    tasks: dict[str, list[str]] = {}
    for metric, (task, _) in CLAIM.items():
        row = rows[metric]
        verb = {BEATS: "beats", BEATEN: "is beaten by"}.get(row["finding"], NOT_SHOWN)
        if row["finding"] == UNTESTED:
            change = row["difference"]
            verb = "stands above" if change > 0 else "stands below" if change < 0 else "stands level with"
        tasks.setdefault(verb, []).append(task)
    if len(tasks) == 1:
        return f"{next(iter(tasks))} {{}}"
    (first, own), (second, other) = tasks.items()
    return f"{first} {{}} in {own[0]} and {second} it in {other[0]}"


def _untested(found: Collected, dataset: str) -> str:
    protocol = found.protocols(dataset)[0]
    rows = [tested_subject(found, dataset, protocol, reference) for reference in found.experiment.references]
    if not all(row[metric]["finding"] == UNTESTED for row in rows if row for metric in PRIMARY):
        return ""
    seeds = len(found.experiment.seeds)
    if seeds < LEAST_SEEDS:
        return f"; with {'one seed' if seeds == 1 else f'{seeds} seeds'} per method this may be chance"
    return "; too few of the runs finished for a test"


def _numbers(found: Collected, dataset: str) -> Iterator[str]:
    """How often the right answer comes first, for the method under test and for each reference."""
    protocol = found.protocols(dataset)[0]
    yield f"{_quoted(found.titles[found.subject])} {_shares(found, dataset)}."
    for reference in found.experiment.references:
        if rows := tested_subject(found, dataset, protocol, reference):
            values = " and ".join(f"{decimal(_mean(found, dataset, reference, metric))} %" for metric in PRIMARY)
            gains = " and ".join(_gain(rows[metric]) for metric in PRIMARY)
            yield f"{_quoted(found.titles[reference])}: {values}, a difference of {gains}."


def _gain(row: Mapping[Hashable, Any]) -> str:
    reach = interval(row["low"], row["high"])
    tested = f" (95 % interval {reach})" if row["finding"] != UNTESTED else ""
    return f"{decimal(row['difference'], sign=True)}{tested}"


def _shares(found: Collected, dataset: str) -> str:
    captions, pictures = (decimal(_mean(found, dataset, found.subject, metric)) for metric in PRIMARY)
    return f"puts a right caption first for {captions} % of pictures and the right picture first for {pictures} % of captions"


def _surroundings(found: Collected, dataset: str) -> Iterator[str]:
    """Who is highest, how many seeds, and whether the claim can be tested here."""
    yield _highest(found, dataset)
    yield f"{seeds_told(found.experiment)} per method."
    claims = found.claims[found.claims["dataset"] == dataset]
    if (claims["verdict"] == NOT_APPLICABLE).all():
        yield f"The paper's claim is {NOT_TESTABLE}: {claims['reason'].iloc[0]}."
        return
    own = claims[(claims["reference"] == found.experiment.reference) & (claims["reading"] == "relative")]
    words = [f"{row['task']} {decimal(row['claimed'], sign=True)} %, here {decimal(row['measured'], sign=True)} % "
             f"({row['verdict']})" for row in own.to_dict("records")]  # fmt: skip
    if words:
        yield f"The claim, read as relative gains over {_quoted(found.titles[found.experiment.reference])}: {listing(words)}."


def _highest(found: Collected, dataset: str) -> str:
    """Whose rSum is highest among single models trained here, whether or not it is the method under test."""
    rows = single_models(found.of(found.summary, dataset, found.protocols(dataset)[0]))
    rows = rows[(rows["metric"] == "rsum") & (rows["n"] > 0)]
    if len(rows) < 2:
        return ""
    top = float(rows["mean"].round(1).max())
    best, rest = (
        rows[rows["mean"].round(1) == top],
        rows[rows["mean"].round(1) < top].sort_values("mean", ascending=False),
    )
    said = f"Highest rSum (sum of six recalls): {listing([_with_rsum(row) for row in best.to_dict('records')])}"
    if len(rest):
        said += f", then {_with_rsum(rest.iloc[0].to_dict())}"
    own = rows[rows["method"] == found.subject]
    if len(own) and found.subject not in {*best["method"], *rest["method"].head(1)}:
        said += f"; {_with_rsum(own.iloc[0].to_dict())}"
    return f"{said}."


def _with_rsum(row: Mapping[Hashable, Any]) -> str:
    return f"{_quoted(row['title'])} {mean_sd(row['mean'], row['sd'])}"


def _effects(found: Collected, dataset: str) -> str:
    """What a factorial shows of each part by itself; "" without one, or without a test."""
    design = found.experiment.factorial
    if design is None or found.effects is None:
        return ""
    rows = found.of(found.effects, dataset, found.protocols(dataset)[0])
    rows = rows[(rows["order"] == 1) & rows["metric"].isin(KEY_METRICS)]
    if rows.empty or rows["low"].isna().all():
        return ""
    shown: dict[str, list[str]] = {}
    for row in rows[rows["finding"].isin(EFFECTS)].to_dict("records"):
        words = f"{row['finding']} {metric_label(row['metric'])} by {decimal(abs(row['estimate']))}"
        shown.setdefault(str(row["effect"]), []).append(words)
    parts = [f"{design.factors[effect]} {listing(words)}" for effect, words in shown.items()]
    none = [title for effect, title in design.factors.items() if effect not in shown]
    if not parts:
        return f"Of its parts, none was shown to have an effect of its own: {listing(none)}."
    rest = f"; no effect of {listing(none)} was shown" if none else ""
    return f"Of its parts, {listing(parts)}{rest}."


def _mean(found: Collected, dataset: str, method: str, metric: str) -> float | None:
    rows = found.of(found.summary, dataset, found.protocols(dataset)[0])
    rows = rows[(rows["method"] == method) & (rows["metric"] == metric)]
    value = rows["mean"].iloc[0] if len(rows) else float("nan")
    return None if pd.isna(value) else float(value)
