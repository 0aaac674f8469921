"""Every method minus the reference: tests, intervals, power, and a plot of each."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from lgsf.metrics.names import KEY_METRICS, metric_label
from lgsf.render.block import Block, Cell, finite, numbers, table_block, words
from lgsf.render.numbers import decimal, interval, looks
from lgsf.render.plots import DotRow, Plot, dot_plot
from lgsf.report.seeds import competitors, seed_scores
from lgsf.statistics import format_p
from lgsf.tables.results import MARKS


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
