"""What was found, in a sentence that a stranger understands, and the numbers behind it."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import pandas as pd

from lgsf.metrics.names import PRIMARY
from lgsf.render.numbers import decimal, interval, listing, mean_sd
from lgsf.report.collected import Collected
from lgsf.report.groups import ABLATIONS, BASELINES, ENSEMBLES, method_groups
from lgsf.report.tested import BEATEN, BEATS, UNTESTED, tested_subject
from lgsf.statistics import LEAST_SEEDS
from lgsf.tables.inputs import single_models
from lgsf.verdict.claim import CLAIM, NOT_TESTABLE
from lgsf.verdict.judge import NOT_APPLICABLE

NOT_SHOWN = "was not shown to differ from"
Found = Mapping[Hashable, Mapping[Hashable, Any]]


def headline(found: Collected) -> str:
    """One sentence for each dataset: whom the method under test beats, and whom it was not shown to beat."""
    return " ".join(_headline(found, dataset) for dataset in found.experiment.datasets)


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
            for words in _words(rows):
                said.setdefault(words, []).append(_called(found, dataset, reference))
    if not said:
        return f"{where} {_shares(found, dataset)}; it was compared with nothing."
    order = sorted(said, key=lambda words: NOT_SHOWN in words)
    joint = ", but " if len({NOT_SHOWN in words for words in order}) == 2 else ", and "
    return f"{where} {joint.join(f'{words} {listing(said[words])}' for words in order)}{_untested(found, dataset)}."


def _quoted(title: str) -> str:
    """A name in which a comma would cut the sentence stands in quotation marks."""
    return f"“{title}”" if "," in title else title


def _called(found: Collected, dataset: str, method: str) -> str:
    """`the baseline VSE++`: a stranger does not know what a name stands for."""
    kinds = {BASELINES: "the baseline ", ABLATIONS: "its own ablation ", ENSEMBLES: "the ensemble "}
    group = next((g.label for g in method_groups(found, dataset) if method in g.methods), "")
    return f"{kinds.get(group, '')}{_quoted(found.titles[method])}"


def _words(rows: Found) -> Iterator[str]:
    """What both R@1 say, as a verb; two where they differ."""
    tasks: dict[str, list[str]] = {}
    for metric, (task, _) in CLAIM.items():
        row = rows[metric]
        verb = {BEATS: "beats", BEATEN: "is beaten by"}.get(row["finding"], NOT_SHOWN)
        if row["finding"] == UNTESTED:
            change = row["difference"]
            verb = "stands above" if change > 0 else "stands below" if change < 0 else "stands level with"
        tasks.setdefault(verb, []).append(task)
    for verb, own in tasks.items():
        yield verb if len(tasks) == 1 else f"in {own[0]} {verb}"


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
    seeds = len(found.experiment.seeds)
    yield f"{seeds} {'seed' if seeds == 1 else 'seeds'} per method."
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
    best = rows[rows["mean"].round(1) == rows["mean"].round(1).max()]
    names = [f"{_quoted(row['title'])} ({mean_sd(row['mean'], row['sd'])})" for row in best.to_dict("records")]
    subject = rows[rows["method"] == found.subject]
    if found.subject in set(best["method"]) or subject.empty:
        return f"Highest rSum (sum of six recalls): {listing(names)}."
    own = mean_sd(subject["mean"].iloc[0], subject["sd"].iloc[0])
    return f"Highest rSum (sum of six recalls): {listing(names)}; {_quoted(found.titles[found.subject])} has {own}."


def _mean(found: Collected, dataset: str, method: str, metric: str) -> float | None:
    rows = found.of(found.summary, dataset, found.protocols(dataset)[0])
    rows = rows[(rows["method"] == method) & (rows["metric"] == metric)]
    value = rows["mean"].iloc[0] if len(rows) else float("nan")
    return None if pd.isna(value) else float(value)
