"""Every method minus the reference: tests, intervals, power, and a plot of each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import pandas as pd

from lgsf.metrics.names import KEY_METRICS, metric_label
from lgsf.render.block import Block, Cell, finite, numbers, table_block, words
from lgsf.render.flow import Details, Figures, Heading, Item, Paragraph
from lgsf.render.numbers import PROTOCOL_LABELS, decimal, interval, looks
from lgsf.render.plots import DotRow, Plot, dot_plot
from lgsf.report.collected import Collected
from lgsf.report.seeds import competitors, seed_scores
from lgsf.statistics import format_p
from lgsf.tables.inputs import changed_inputs
from lgsf.tables.results import MARKS
from lgsf.tables.summary import differences

TESTED = (
    "The intervals and p are about the methods: seeds and images both vary. p is corrected by Holm for the two R@1, which "
    "were named in advance, and by Benjamini–Hochberg for rSum. “n/a” stands where fewer than three seeds of either method "
    "have finished; only what is tested this way may be said to be better (†) or worse (‡)."
)
DESIGN = "What this comparison can resolve, and what holds for these checkpoints alone"


def difference_items(found: Collected, dataset: str, protocol: str) -> Iterator[Item]:
    """What every method gains over each reference; how it was tested is said once."""
    explained = False
    for reference in found.experiment.references:
        tests = found.of(found.tests, dataset, protocol)
        tests = tests[tests["reference"] == reference]
        if tests.empty:  # the reference, or everything else, has no finished run
            continue
        methods = tests[tests["scope"] == "methods"]
        runs, summary = (found.of(table, dataset, protocol) for table in (found.runs, found.summary))
        title, place = found.titles[reference], f"{dataset}, {PROTOCOL_LABELS[protocol]}"
        prefix, changes = f"{dataset}-{protocol}", differences(summary, reference)
        yield Heading(f"Differences to {title}")
        if (methods["finding"] == "n/a").all():
            yield Paragraph(f"There is no test here: {methods['note'].iloc[0]}.")
        elif not explained:
            explained = True
            yield Paragraph(TESTED)
        yield Figures(tuple(difference_plots(prefix, runs, methods, reference, found.subject)))
        yield Paragraph(
            f"Dots are seeds minus the mean of {title}, the tick is the mean difference. A bar is its 95 % interval; where "
            "there is none, there were too few seeds.",
            css="note",
            page_only=True,
        )
        caption, inputs = f"Differences to {title} on {place}", changed_inputs(summary, reference)
        yield differences_block(f"{prefix}-minus-{reference}", caption, methods, changes, found.titles, inputs)
        caption = f"Against {title} on {place}: spread, power, equivalence, and these checkpoints"
        block = design_block(f"{prefix}-design-{reference}", caption, tests, changes, found.titles)
        yield Details(DESIGN, (Paragraph(_design_words(title), page_only=True), block))
    if found.experiment.reference not in found.titles:
        name = found.experiment.reference
        yield Paragraph(f"The reference method, {name}, is not among the methods of this experiment.")


def _design_words(reference: str) -> str:
    return (
        f"“Seed pairs above” is the share of pairs of seeds in which the method is above {reference}, ties half. The "
        "smallest detectable Δ is found with 80 % power in a single test at 5 %. Equivalence means within ±0.5 points (rSum "
        "±3). The last two columns answer a narrower question: do these trained models, as they are, differ on such images? "
        "They say nothing about other seeds."
    )


def differences_block(
    id_: str,
    caption: str,
    tests: pd.DataFrame,
    changes: pd.DataFrame,
    titles: Mapping[str, str],
    inputs: Mapping[str, str],
) -> Block:
    """Each method minus the reference: points, percent, 95 % interval and corrected p, as they hold for methods.

    tests    rows of one dataset, protocol and reference of scope "methods" (lgsf.tables.tests)
    changes  the same comparison from lgsf.tables.summary.differences, for the looks at dev
    inputs   method -> which of its inputs differ from the reference's (lgsf.tables.inputs.changed_inputs)
    """
    looked = changes.set_index(["method", "metric"])[["dev_looks", "dev_looks_reference"]].to_dict("index")
    names = []
    for metric in KEY_METRICS:
        names += [f"Δ {metric_label(metric)}", "95 %", "p"]
    rows = []
    for method in dict.fromkeys(tests["method"]):
        own = tests[tests["method"] == method].set_index("metric").to_dict("index")
        cells = [Cell(titles[method], f"({inputs[method]})" if method in inputs else "")]
        for metric in KEY_METRICS:
            row = own[metric]
            mark = MARKS.get(row["finding"], "")
            minor = "" if math.isnan(row["relative"]) else f"({decimal(row['relative'], sign=True)} %)"
            cells.append(Cell(decimal(row["difference"], sign=True), minor, finite(row["difference"]), mark=mark))
            cells.append(Cell(interval(row["low"], row["high"]), sort=finite(row["low"]), css="quiet"))
            cells.append(Cell(format_p(row["p_corrected"]), sort=finite(row["p_corrected"]), css="quiet"))
        seeds = own["rsum"]["seeds"], own["rsum"]["seeds_other"]
        both = looked[method, "rsum"]
        own_looks, its_looks = both["dev_looks"], both["dev_looks_reference"]
        cells.append(Cell(f"{looks(own_looks)} / {looks(its_looks)}", sort=finite(own_looks)))
        rows.append([*cells, Cell(f"{seeds[0]} / {seeds[1]}", sort=float(seeds[0]))])
    return table_block(id_, caption, [*words("method"), *numbers(*names, "dev looks", "seeds")], rows)


def design_block(
    id_: str, caption: str, tests: pd.DataFrame, changes: pd.DataFrame, titles: Mapping[str, str]
) -> Block:
    """What the design can resolve, and what holds for these checkpoints alone; one row per method and metric.

    tests    rows of one dataset, protocol and reference, both scopes
    changes  the same comparison from lgsf.tables.summary.differences, for the SDs over seeds
    """
    spread = changes.set_index(["method", "metric"]).to_dict("index")
    by_scope = {scope: rows.set_index(["method", "metric"]).to_dict("index") for scope, rows in tests.groupby("scope")}
    rows = []
    chosen = tests[(tests["scope"] == "methods") & tests["metric"].isin(KEY_METRICS)]
    for key in zip(chosen["method"], chosen["metric"], strict=True):
        method, metric = key
        row, these, sds = by_scope["methods"][key], by_scope["checkpoints"][key], spread[key]
        share = row["superiority"]
        rows.append(
            [
                Cell(titles[method]),
                Cell(metric_label(metric)),
                Cell(f"{decimal(sds['sd'])} / {decimal(sds['sd_reference'])}", sort=finite(sds["sd"])),
                Cell(decimal(share, 2), sort=finite(share)),
                Cell(decimal(row["detectable"]), sort=finite(row["detectable"])),
                Cell(row["equivalence"], row["note"], css="prose"),
                Cell(interval(these["low"], these["high"]), sort=finite(these["low"])),
                Cell(format_p(these["p_corrected"]), sort=finite(these["p_corrected"])),
            ]
        )
    columns = [*words("method", "metric"), *numbers("SD own / reference", "seed pairs above", "smallest detectable Δ")]
    columns += [*words("equivalent within the margin?"), *numbers("these checkpoints: 95 %", "p")]
    return table_block(id_, caption, columns, rows)


def difference_plots(prefix: str, runs: pd.DataFrame, tests: pd.DataFrame, reference: str, subject: str) -> list[Plot]:
    """A forest plot per headline metric: every seed minus the reference's mean, the mean, its 95 % interval.

    tests  rows of one dataset, protocol and reference of scope "methods"; no interval, no bar
    """
    plots = []
    for metric in KEY_METRICS:
        base = seed_scores(runs, reference, metric)[1]
        found = tests[tests["metric"] == metric].set_index("method").to_dict("index")
        rows, words = [], []
        for method, title in competitors(runs).items():
            if method == reference:
                continue
            values, mean, _ = seed_scores(runs, method, metric)
            delta, low, high = mean - base, math.nan, math.nan
            if method in found:
                low, high = found[method]["low"], found[method]["high"]
            bar = (delta, delta) if math.isnan(low) else (low, high)
            rows.append(DotRow(title, [v - base for v in values], delta, *bar, strong=method == subject))
            reach = "" if math.isnan(low) else f" (95 % interval {interval(low, high)})"
            words.append(f"{title} {decimal(delta, sign=True)}{reach}" if values else f"{title}: no finished run")
        label = metric_label(metric)
        description = f"{label} minus that of the reference: {'; '.join(words)}."
        id_ = f"{prefix}-minus-{reference}-{metric}"
        plots.append(dot_plot(id_, f"Δ {label}, points", rows, description=description, zero=True))
    return plots
