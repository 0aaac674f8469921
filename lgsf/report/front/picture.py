"""The picture: methods by group, R@1 in both directions and rSum, every seed, and what the tests say of the mean."""

from __future__ import annotations

import math

import pandas as pd

from lgsf.metrics.names import KEY_METRICS, in_percent, metric_label
from lgsf.render.numbers import decimal, interval
from lgsf.render.panels import Panel, Row, Values, panel_plot
from lgsf.render.plots import DotRow, Plot, dot_plot, outside
from lgsf.report.collected import Collected
from lgsf.report.groups import method_groups
from lgsf.report.seeds import competitors, seed_scores
from lgsf.report.tested import tested_rows
from lgsf.tables.results import MARKS
from lgsf.verdict.claim import CLAIM
from lgsf.verdict.judge import NOT_APPLICABLE

WORDS = {"i2t_r1": "right caption first, %", "t2i_r1": "right picture first, %", "rsum": "sum of six recalls"}


def picture(found: Collected, dataset: str, protocol: str) -> tuple[Plot, list[Plot]]:
    """The panels side by side for a desk, and the same ones each by itself for a phone."""
    prefix, reference = f"{dataset}-{protocol}", found.experiment.reference
    runs = found.of(found.runs, dataset, protocol)
    titles = competitors(runs)
    groups = []
    for group in method_groups(found, dataset):
        rows = [
            Row(name, _called(name, titles, reference), name == found.subject)
            for name in group.methods
            if name in titles
        ]
        groups += [(group.label, rows)] if rows else []
    order = [row for _, rows in groups for row in rows]
    panels, plots, words = [], [], []
    for metric in KEY_METRICS:
        values = {
            row.name: own for row, own in zip(order, _values(found, dataset, protocol, metric, order), strict=True)
        }
        unit = ", percent" if in_percent(metric) else ""
        title = f"{metric_label(metric)}: {WORDS[metric]}" if metric in WORDS else f"{metric_label(metric)}{unit}"
        base = values[reference].mean if reference in values else math.nan
        mark, claimed = (None if math.isnan(base) else base), _claimed(found, dataset, protocol, metric, base)
        panels.append(Panel(title, values, mark, claimed))
        dots = [_dots(row, values[row.name]) for row in order]
        clipped = {row.title for row in order if values[row.name].clipped}
        said = "; ".join(_said(row, values[row.name]) for row in order)
        description = f"{metric_label(metric)}, mean over seeds: {said}."
        words.append(description)
        plots.append(dot_plot(f"{prefix}-{metric}", title, dots, description=description, mark=mark, clipped=clipped))
    wide = panel_plot(
        f"{prefix}-scores",
        f"Every method on {dataset}: seeds, mean, interval",
        groups,
        panels,
        description=" ".join(words),
    )
    return wide, plots


def clipped_words(found: Collected, dataset: str, protocol: str) -> str:
    """Which methods the picture shows as an arrow only; "" where there is none."""
    runs = found.of(found.runs, dataset, protocol)
    names = {title for metric in KEY_METRICS for title in _outside(found, runs, metric)}
    titles = [title for method, title in competitors(runs).items() if method in names]
    return f"An arrow stands for what lies below half of the median method: {', '.join(titles)}." if titles else ""


def _outside(found: Collected, runs: pd.DataFrame, metric: str) -> set[str]:
    means = {method: seed_scores(runs, method, metric)[1] for method in competitors(runs)}
    return outside(means, keep={found.subject, *found.experiment.references})


def _called(name: str, titles: dict[str, str], reference: str) -> str:
    return f"{titles[name]} (reference)" if name == reference else titles[name]


def _values(found: Collected, dataset: str, protocol: str, metric: str, rows: list[Row]) -> list[Values]:
    """Seeds, mean, and the 95 % interval of the difference to the reference, laid around the reference's mean."""
    runs, reference = found.of(found.runs, dataset, protocol), found.experiment.reference
    tests = tested_rows(found, dataset, protocol, reference)
    tested = tests[tests["metric"] == metric].set_index("method").to_dict("index")
    base, clipped = seed_scores(runs, reference, metric)[1], _outside(found, runs, metric)
    values = []
    for row in rows:
        seeds, mean, _ = seed_scores(runs, row.name, metric)
        own = tested.get(row.name, {})
        low, high = (base + float(own.get(end, math.nan)) for end in ("low", "high"))
        mark = MARKS.get(str(own.get("finding")), "")
        values.append(Values(seeds, mean, low, high, mark, row.name in clipped))
    return values


def _claimed(found: Collected, dataset: str, protocol: str, metric: str, base: float) -> float | None:
    """Where the claim's relative gain over the reference would be; None where it cannot be tested."""
    claims = found.claims[(found.claims["dataset"] == dataset) & (found.claims["metric"] == metric)]
    testable = len(claims) and (claims["verdict"] != NOT_APPLICABLE).any() and protocol == found.protocols(dataset)[0]
    return base * (1 + CLAIM[metric][1] / 100) if testable and metric in CLAIM and not math.isnan(base) else None


def _dots(row: Row, own: Values) -> DotRow:
    low, high = (own.mean, own.mean) if math.isnan(own.low) else (own.low, own.high)
    return DotRow(row.title, own.seeds, own.mean, low, high, row.strong, own.mark)


def _said(row: Row, own: Values) -> str:
    if not own.seeds:
        return f"{row.title}: no finished run"
    reach = "" if math.isnan(own.low) else f" (95 % {interval(own.low, own.high).replace('+', '')})"
    return f"{row.title} {decimal(own.mean)}{own.mark}{reach}"
