"""What each part of a factorial does: its cells, its effects as a table and as forest plots."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from lgsf.config.factorial import Factorial
from lgsf.metrics.names import KEY_METRICS, metric_label
from lgsf.render.block import Block, Cell, finite, looks_cell, metric_columns, numbers, table_block, words
from lgsf.render.flow import Details, Figures, Heading, Item, Paragraph
from lgsf.render.numbers import PROTOCOL_LABELS, decimal, interval, mean_sd
from lgsf.render.plots import DotRow, Plot, dot_plot
from lgsf.report.collected import Collected
from lgsf.report.section import Section
from lgsf.report.tested import p_words
from lgsf.statistics import effect_weights
from lgsf.statistics.factorial import TIMES

INTRODUCTION = (
    "A main effect is the mean of all arms with a part on minus the mean of all arms with it off. An interaction is half of "
    "how much the effect of one part changes when the other is switched on: at zero, parts simply add up."
)
DOTS = "Dots are seeds, the tick is the estimate, the bar its 95 % interval; main effects in colour."
TESTED = (
    "The intervals are about the methods: seeds and images both vary. p is corrected by Holm for the main effects on both "
    "R@1, which were named in advance, and by Benjamini–Hochberg for the rest; † raises, ‡ lowers."
)
MARKS = {"raises": "†", "lowers": "‡"}


@dataclass(frozen=True)
class FactorialPart:
    """What the page shows of a factorial under one protocol.

    missing   why there are no effects, or ""; there are then neither table nor plots
    untested  why effects have no interval and no p, or ""
    """

    missing: str
    untested: str
    cells: Block
    effects: Block | None
    plots: list[Plot]


def section(found: Collected, dataset: str) -> Section | None:
    """None for an experiment without a factorial."""
    items = [item for protocol in found.protocols(dataset) for item in factorial_items(found, dataset, protocol)]
    title = found.titled("What each part does", dataset)
    return Section(f"{dataset}-factorial", title, nav="Parts", items=tuple(items)) if items else None


def factorial_items(found: Collected, dataset: str, protocol: str) -> Iterator[Item]:
    """Nothing for an experiment without a factorial."""
    if found.experiment.factorial is None or found.effects is None:
        return
    prefix, place = f"{dataset}-{protocol}", f"{dataset}, {PROTOCOL_LABELS[protocol]}"
    runs, effects = (found.of(table, dataset, protocol) for table in (found.runs, found.effects))
    part = factorial_part(prefix, place, found.experiment.factorial, runs, effects, found.titles)
    if len(found.protocols(dataset)) > 1:
        yield Heading(PROTOCOL_LABELS[protocol].capitalize())
    yield Paragraph(INTRODUCTION)
    if part.effects is None:
        yield Paragraph(f"There are no effects: {part.missing}.", css="warn")
    else:
        if part.untested:
            yield Paragraph(f"There is no test here: {part.untested}.")
        yield Figures(tuple(part.plots))
        yield Paragraph(TESTED, css="note", before=DOTS)
        yield part.effects
    yield Details("The cells of the factorial", (part.cells,))


def factorial_part(
    prefix: str, place: str, design: Factorial, runs: pd.DataFrame, effects: pd.DataFrame, titles: Mapping[str, str]
) -> FactorialPart:
    """The tables and plots of one dataset and protocol.

    runs     their rows of lgsf.tables.collect, for the cells and the seeds behind each effect
    effects  their rows of lgsf.tables.factorial.factorial_runs
    titles   method -> how tables call it; a cell that the experiment does not run keeps its name
    """
    cells = _cells_block(f"{prefix}-cells", f"The cells on {place}: mean ± SD over seeds", design, runs, titles)
    note = str(effects["note"].iloc[0])
    if effects["estimate"].isna().all():
        return FactorialPart(missing=note, untested="", cells=cells, effects=None, plots=[])
    return FactorialPart(
        missing="",
        untested=note,
        cells=cells,
        effects=_effects_block(f"{prefix}-effects", f"Effects on {place}, points", design, effects),
        plots=[_forest(prefix, design, runs, effects[effects["metric"] == metric], metric) for metric in KEY_METRICS],
    )


def _title(design: Factorial, effect: str) -> str:
    """`gat:triangle` -> `GAT × triangle`."""
    return " × ".join(design.factors[factor] for factor in effect.split(TIMES))


def _cells_block(id_: str, caption: str, design: Factorial, runs: pd.DataFrame, titles: Mapping[str, str]) -> Block:
    rows = []
    for method, parts in design.cells.items():
        own = runs[runs["method"] == method]
        cells = [Cell(titles.get(method, method))]
        cells += [
            Cell("on" if factor in parts else "off", css="" if factor in parts else "quiet")
            for factor in design.factors
        ]
        for metric in KEY_METRICS:
            values = own[metric].dropna()
            mean, sd = float(values.mean()), float(values.std(ddof=1))
            cells.append(Cell(mean_sd(mean, sd), sort=None if math.isnan(mean) else mean))
        finished = int((own["status"] == "finished").sum())
        rows.append(
            (
                *cells,
                looks_cell(own["dev_looks"].mean()),
                Cell(str(finished), sort=float(finished), css="" if finished else "warn"),
            )
        )
    columns = [*words("method", *design.factors.values()), *metric_columns(KEY_METRICS), *numbers("dev looks", "seeds")]
    return table_block(id_, caption, columns, rows)


def _effects_block(id_: str, caption: str, design: Factorial, effects: pd.DataFrame) -> Block:
    """One row per effect; † raises and ‡ lowers the metric after correction."""
    rows = []
    for effect in dict.fromkeys(effects["effect"]):
        own = effects[effects["effect"] == effect].set_index("metric").to_dict("index")
        cells = [Cell(_title(design, effect))]
        for metric in KEY_METRICS:
            row = own[metric]
            mark = MARKS.get(row["finding"], "")
            reach = "" if math.isnan(row["low"]) else interval(row["low"], row["high"])
            minor = "; ".join(part for part in (reach, p_words(row["p_corrected"])) if part)
            cells.append(Cell(decimal(row["estimate"], sign=True), minor, float(row["estimate"]), mark=mark))
        detectable = own["rsum"]["detectable"]
        rows.append((*cells, Cell(decimal(detectable), sort=finite(detectable), css="quiet")))
    names = [metric_label(metric) for metric in KEY_METRICS]
    block = table_block(id_, caption, [*words("effect"), *numbers(*names, "detectable rSum")], rows)
    return replace(block, cards=True)


def _forest(prefix: str, design: Factorial, runs: pd.DataFrame, effects: pd.DataFrame, metric: str) -> Plot:
    """Every effect on one metric: its value in each seed that all cells finished, its estimate, its interval."""
    by_seed = (
        runs[runs["method"].isin(list(design.cells))].pivot(index="seed", columns="method", values=metric).dropna()
    )
    rows, words = [], []
    for row in effects.to_dict("records"):
        effect, estimate, low, high = str(row["effect"]), row["estimate"], row["low"], row["high"]
        weights = effect_weights(effect.split(TIMES), design.cells)
        values = sum(weight * by_seed[method] for method, weight in weights.items())
        bar = (estimate, estimate) if math.isnan(low) else (low, high)
        dots = values.tolist() if isinstance(values, pd.Series) and len(values) else [estimate]
        rows.append(DotRow(_title(design, effect), dots, estimate, *bar, strong=row["order"] == 1))
        reach = "" if math.isnan(low) else f" (95 % interval {interval(low, high)})"
        words.append(f"{_title(design, effect)} {decimal(estimate, sign=True)}{reach}")
    label = metric_label(metric)
    description = f"Effects on {label}, points: {'; '.join(words)}."
    return dot_plot(
        f"{prefix}-effects-{metric}", f"Effects on {label}, points", rows, description=description, zero=True
    )
