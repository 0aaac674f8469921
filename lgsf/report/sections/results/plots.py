"""Plots of scores: every seed as a dot, R@K over K."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from lgsf.metrics.names import KEY_METRICS, in_percent, metric_label
from lgsf.render.flow import Figures, Heading, Item, Paragraph
from lgsf.render.numbers import mean_sd
from lgsf.render.plots import Curve, DotRow, Plot, curve_plot, dot_plot, padded
from lgsf.report.collected import Collected
from lgsf.report.seeds import competitors, seed_scores
from lgsf.runs.ranks import read_ranks

RankPair = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]  # i2t, t2i


def score_plots(prefix: str, runs: pd.DataFrame, subject: str) -> list[Plot]:
    """One dot plot per headline metric: every seed, the mean, and mean ± SD; runs are of one dataset and protocol."""
    plots = []
    for metric in KEY_METRICS:
        rows, words = [], []
        for method, title in competitors(runs).items():
            values, mean, sd = seed_scores(runs, method, metric)
            rows.append(DotRow(title, values, mean, mean - sd, mean + sd, strong=method == subject))
            words.append(f"{title} {mean_sd(mean, sd)}" if values else f"{title}: no finished run")
        label = metric_label(metric)
        title = f"{label}, percent" if in_percent(metric) else label
        description = f"{label}, mean ± SD over seeds: {'; '.join(words)}."
        plots.append(dot_plot(f"{prefix}-{metric}", title, rows, description=description))
    return plots


def recall_items(found: Collected, dataset: str, protocol: str) -> Iterator[Item]:
    """R@K over K of one protocol; nothing where the subject has no finished run."""
    ranks: dict[str, list[RankPair]] = {}
    for run in found.trained(dataset):
        own = read_ranks(run.folder)
        pair = (own.i2t, own.t2i) if protocol == "full" else (own.i2t_fold, own.t2i_fold)
        ranks.setdefault(run.method, []).append(pair)
    plots = recall_plots(dataset, ranks, found.titles, found.subject)
    if plots:
        yield Heading("Recall over K", page_only=True)
        yield Figures(tuple(plots))
        words = "in colour, every other method in grey, mean over seeds. K grows by factors."
        yield Paragraph(f"{found.titles[found.subject]} {words}", css="note", page_only=True)


def recall_plots(
    prefix: str, ranks: Mapping[str, Sequence[RankPair]], titles: Mapping[str, str], subject: str
) -> list[Plot]:
    """R@K over K (log scale, up to 100), mean over seeds: the subject before all other methods in grey.

    ranks  method -> (i2t, t2i) 0-based ranks of each finished seed
    """
    plots = []
    for column, direction in enumerate(("i2t", "t2i")):
        curves = {}
        for method, seeds in ranks.items():
            limit = min(100, max(int(pair[column].max()) + 1 for pair in seeds))
            ks = sorted({round(limit ** (k / 24)) for k in range(25)})
            curves[method] = [
                (math.log10(k), float(np.mean([100 * (p[column] < k).mean() for p in seeds]))) for k in ks
            ]
        if subject not in curves:
            return []
        ends = max(x for line in curves.values() for x, _ in line) or 1.0
        values = [y for line in curves.values() for _, y in line]
        own = curves[subject]
        words = ", ".join(f"R@{round(10**x)} {y:.1f}" for x, y in own if round(10**x) in (1, 2, 5, 10, 20, 50, 100))
        plots.append(
            curve_plot(f"{prefix}-recall-{direction}", f"{direction} R@K", [Curve(titles[subject], own)],
                       axes=("K", f"{direction} R@K, percent"), domain=((0.0, ends), (padded(values)[0], 100.0)),
                       description=f"{direction} recall of {titles[subject]} over K, mean over seeds: {words}.",
                       x_ticks={math.log10(k): str(k) for k in (1, 2, 5, 10, 20, 50, 100) if math.log10(k) <= ends},
                       context=[line for method, line in curves.items() if method != subject])
        )  # fmt: skip
    return plots
