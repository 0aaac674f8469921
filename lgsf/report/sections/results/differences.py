"""Every method minus the reference: tests, intervals, power, and a plot of each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from lgsf.metrics.names import KEY_METRICS, metric_label
from lgsf.render.block import Block, Cell, Column, finite, numbers, said_once, table_block, words
from lgsf.render.flow import Details, Figures, Heading, Item, Paragraph
from lgsf.render.numbers import PROTOCOL_LABELS, decimal, interval, listing, looks
from lgsf.render.plots import DotRow, Plot, dot_plot, outside
from lgsf.report.collected import Collected
from lgsf.report.section import Section
from lgsf.report.seeds import competitors, seed_scores
from lgsf.report.tested import p_words
from lgsf.statistics import format_p
from lgsf.tables.inputs import changed_inputs
from lgsf.tables.results import MARKS
from lgsf.tables.summary import differences

TESTED = (
    "Intervals and p are about the methods: seeds and images both vary. p is corrected by Holm for the two R@1, which were "
    "named in advance, and by Benjamini–Hochberg for rSum. Only what is tested this way is called better (†) or worse (‡)."
)
FORESTS = (
    "Dots are seeds minus the mean of the other method, the tick is the mean difference, a bar its 95 % interval; where there "
    "is none, there were too few seeds."
)
SMALL = "Small: 95 % interval and corrected p."
DESIGN = "What this comparison can resolve, and what holds for these checkpoints alone"


def section(found: Collected, dataset: str) -> Section:
    title = found.titled("Differences between methods", dataset)
    items = [item for protocol in found.protocols(dataset) for item in difference_items(found, dataset, protocol)]
    return Section(f"{dataset}-differences", title, nav="Differences", items=tuple(items))


def difference_items(found: Collected, dataset: str, protocol: str) -> Iterator[Item]:
    """What every method gains over each reference; how it was tested is said once."""
    explained = False
    several = len(found.protocols(dataset)) > 1
    for reference in found.experiment.references:
        tests = found.of(found.tests, dataset, protocol)
        tests = tests[tests["reference"] == reference]
        if tests.empty:  # the reference, or everything else, has no finished run
            continue
        methods = tests[tests["scope"] == "methods"]
        runs, summary = (found.of(table, dataset, protocol) for table in (found.runs, found.summary))
        title, place = found.titles[reference], f"{dataset}, {PROTOCOL_LABELS[protocol]}"
        prefix, changes = f"{dataset}-{protocol}", differences(summary, reference)
        yield Heading(f"Differences to {title}{f', {PROTOCOL_LABELS[protocol]}' if several else ''}")
        if (methods["finding"] == "n/a").all():
            yield Paragraph(f"There is no test here: {methods['note'].iloc[0]}.")
        elif not explained:
            explained = True
            yield Paragraph(TESTED)
        caption, inputs = f"Differences to {title} on {place}, points", changed_inputs(summary, reference)
        table: Item = differences_block(f"{prefix}-minus-{reference}", caption, methods, changes, found.titles, inputs)
        if reference == found.experiment.reference:  # the first picture shows the same differences
            table = Details(f"All differences to {title}, with intervals and p", (table,))
        yield table
        plots = difference_plots(prefix, runs, methods, reference, found.subject)
        yield Details(
            f"Differences to {title} as pictures",
            (Figures(tuple(plots)), Paragraph(FORESTS, css="note", page_only=True)),
        )
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
    """Each method minus the reference: points, 95 % interval and corrected p, as they hold for methods.

    tests    rows of one dataset, protocol and reference of scope "methods" (lgsf.tables.tests)
    changes  the same comparison from lgsf.tables.summary.differences, for the looks at dev
    inputs   method -> which of its inputs differ from the reference's (lgsf.tables.inputs.changed_inputs)
    """
    looked = changes.set_index(["method", "metric"])[["dev_looks", "dev_looks_reference"]].to_dict("index")
    said, repeated = _said_once(inputs, titles, list(dict.fromkeys(tests["method"])))
    rows = []
    for method in dict.fromkeys(tests["method"]):
        own = tests[tests["method"] == method].set_index("metric").to_dict("index")
        own_inputs = inputs.get(method, "")
        cells = [Cell(titles[method], f"({own_inputs})" if own_inputs and own_inputs not in said else "")]
        for metric in KEY_METRICS:
            row = own[metric]
            mark = MARKS.get(row["finding"], "")
            reach = "" if math.isnan(row["low"]) else interval(row["low"], row["high"])
            minor = "; ".join(part for part in (reach, p_words(row["p_corrected"])) if part)
            cells.append(Cell(decimal(row["difference"], sign=True), minor, finite(row["difference"]), mark=mark))
        seeds = own["rsum"]["seeds"], own["rsum"]["seeds_other"]
        both = looked[method, "rsum"]
        own_looks, its_looks = both["dev_looks"], both["dev_looks_reference"]
        cells.append(Cell(f"{looks(own_looks)} / {looks(its_looks)}", sort=finite(own_looks)))
        rows.append([*cells, Cell(f"{seeds[0]} / {seeds[1]}", sort=float(seeds[0]))])
    columns = [*words("method"), *(Column(f"Δ {metric_label(metric)}", numeric=True) for metric in KEY_METRICS)]
    note = " ".join(filter(None, ("" if tests["low"].isna().all() else SMALL, repeated)))
    block = table_block(id_, caption, [*columns, *numbers("dev looks", "seeds")], rows, note)
    return said_once(replace(block, cards=True), "dev looks", "seeds")


def _said_once(inputs: Mapping[str, str], titles: Mapping[str, str], methods: Sequence[str]) -> tuple[set[str], str]:
    """What more than half of the rows, two at least, would say of their inputs; the sentence that says it for all of them."""
    for said in dict.fromkeys(inputs[method] for method in methods if method in inputs):
        others = [titles[method] for method in methods if inputs.get(method) != said]
        if len(methods) - len(others) > max(1, len(methods) / 2):
            return {said}, f"{said[0].upper()}{said[1:]} in every row{f' but {listing(others)}' if others else ''}."
    return set(), ""


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
                Cell(f"{decimal(row['relative'], sign=True)} %", sort=finite(row["relative"])),
                Cell(decimal(share, 2), sort=finite(share)),
                Cell(decimal(row["detectable"]), sort=finite(row["detectable"])),
                Cell(row["equivalence"], row["note"], css="prose"),
                Cell(interval(these["low"], these["high"]), sort=finite(these["low"])),
                Cell(format_p(these["p_corrected"]), sort=finite(these["p_corrected"])),
            ]
        )
    columns = [
        *words("method", "metric"),
        *numbers("SD own / reference", "Δ in percent", "seed pairs above", "smallest detectable Δ"),
    ]
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
        means = {method: seed_scores(runs, method, metric)[1] for method in competitors(runs)}
        far = outside(means, keep={subject, reference})
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
        clipped = {title for method, title in competitors(runs).items() if method in far}
        plots.append(dot_plot(id_, f"Δ {label}, points", rows, description=description, zero=True, clipped=clipped))
    return plots
