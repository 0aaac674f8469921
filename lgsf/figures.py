"""What the report's plots show: scores and differences with all seeds, learning curves, R@K over K, cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from lgsf.formatting import decimal, interval, mean_sd, metric_label
from lgsf.plots import Curve, DotRow, Labelled, Plot, Point, curve_plot, dot_plot, padded, scatter_plot
from lgsf.results import Epoch, RunFacts

RankPair = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]  # i2t, t2i
SHOWN = ("i2t_r1", "t2i_r1", "rsum")
UNITS = ((3600, "hours"), (60, "minutes"), (1, "seconds"))
TERM_LABELS = {
    "hinge": "hinge loss",
    "angular": "angular term (triangular constraint)",
    "angular_active": "active share of the angular term",
    "fullhn": "sides of the quadrilateral (FullHN)",
    "fullhn_images": "share of image sides that are active",
    "fullhn_captions": "share of caption sides that are active",
    "fullhn_negatives": "share of sides between negatives that are active",
    "structure": "structure term (captions of one image)",
    "structure_active": "active share of the structure term",
    "structure_neighbours": "share of captions with a sibling in the batch",
    "intra_band": "intra-modal band (IMC)",
    "intra_band_active": "share of intra-modal pairs in the band",
    "interaction_active": "share of steps with interaction",
    "positive_score": "score of positives",
    "hardest_score": "score of hardest negatives",
}
COSTS = (
    ("seconds", "training time"),
    ("peak_memory_mb", "peak memory, MiB"),
    ("parameters", "deployed parameters"),
)


@dataclass(frozen=True)
class Trained:
    """A trained run with its log."""

    method: str
    title: str
    seed: int
    folder: Path
    facts: RunFacts
    log: Sequence[Epoch]


def _scores(runs: pd.DataFrame, method: str, metric: str) -> tuple[list[float], float, float]:
    """Values of all finished seeds, their mean, and their SD (0 where one run shows none)."""
    values = runs.loc[runs["method"] == method, metric].dropna()
    spread = values.std(ddof=1) if len(values) > 1 else 0.0
    return values.tolist(), float(values.mean()), float(spread)


def _competitors(runs: pd.DataFrame) -> dict[str, str]:
    """Method -> title of everything that is no control, in table order."""
    rows = runs[runs["kind"] != "control"].drop_duplicates("method")
    return dict(zip(rows["method"], rows["title"], strict=True))


def score_plots(prefix: str, runs: pd.DataFrame, subject: str) -> list[Plot]:
    """One dot plot per headline metric: every seed, the mean, and mean ± SD; runs are of one dataset and protocol."""
    plots = []
    for metric in SHOWN:
        rows, words = [], []
        for method, title in _competitors(runs).items():
            values, mean, sd = _scores(runs, method, metric)
            rows.append(DotRow(title, values, mean, mean - sd, mean + sd, strong=method == subject))
            words.append(f"{title} {mean_sd(mean, sd)}" if values else f"{title}: no finished run")
        label = metric_label(metric)
        title = label if metric == "rsum" else f"{label}, percent"
        description = f"{label}, mean ± SD over seeds: {'; '.join(words)}."
        plots.append(dot_plot(f"{prefix}-{metric}", title, rows, description=description))
    return plots


def difference_plots(prefix: str, runs: pd.DataFrame, tests: pd.DataFrame, reference: str, subject: str) -> list[Plot]:
    """A forest plot per headline metric: every seed minus the reference's mean, the mean, its 95 % interval.

    tests  rows of one dataset, protocol and reference with claim "methods"; no interval, no bar
    """
    plots = []
    for metric in SHOWN:
        base = _scores(runs, reference, metric)[1]
        found = tests[tests["metric"] == metric].set_index("method").to_dict("index")
        rows, words = [], []
        for method, title in _competitors(runs).items():
            if method == reference:
                continue
            values, mean, _ = _scores(runs, method, metric)
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


def learning_plots(prefix: str, runs: Sequence[Trained]) -> list[Plot]:
    """Dev rSum over steps: one plot per method with all its seeds, every other run in grey behind them."""
    points = {(run.method, run.seed): [(float(e.step), e.dev["rsum"]) for e in run.log] for run in runs if run.log}
    if not points:
        return []
    everything = [p for line in points.values() for p in line]
    domain = ((0.0, max(x for x, _ in everything)), padded([y for _, y in everything]))
    plots = []
    for method in dict.fromkeys(run.method for run in runs if run.log):
        own = [run for run in runs if run.method == method and run.log]
        curves = [_curve(run, points[method, run.seed]) for run in own]
        switch = own[0].facts.hardest_from_step
        plots.append(
            curve_plot(
                f"{prefix}-learning-{method}",
                own[0].title,
                curves,
                axes=("step", "dev rSum"),
                domain=domain,
                description=_learning_words(own),
                context=[line for (other, _), line in points.items() if other != method],
                switch=None if switch is None else float(switch),
            )
        )
    return plots


def _curve(run: Trained, points: Sequence[Point]) -> Curve:
    marked = [point for point, epoch in zip(points, run.log, strict=True) if epoch.plateau]
    return Curve(f"seed {run.seed}", points, marked)


def _learning_words(own: Sequence[Trained]) -> str:
    words = []
    for run in own:
        best = max(run.log, key=lambda e: e.dev["rsum"])
        stuck = [str(e.epoch) for e in run.log if e.plateau]
        words.append(
            f"seed {run.seed} is best at epoch {best.epoch} with {decimal(best.dev['rsum'])}"
            + (f" and sat on the collapse plateau in epoch {', '.join(stuck)}" if stuck else "")
        )
    switch = own[0].facts.hardest_from_step
    start = "" if switch is None else f" Hardest negatives start at step {switch}."
    return f"Dev rSum of {own[0].title} over training steps: {'; '.join(words)}.{start}"


def term_plots(prefix: str, runs: Sequence[Trained]) -> dict[str, list[Plot]]:
    """Per method, one plot for each logged loss term, and for the gradient norm before clipping."""
    out: dict[str, list[Plot]] = {}
    for method in dict.fromkeys(run.method for run in runs if run.log):
        own = [run for run in runs if run.method == method and run.log]
        plots = []
        for term in [*dict.fromkeys(name for run in own for e in run.log for name in e.terms), "grad_norm"]:
            curves = [Curve(f"seed {run.seed}", points) for run in own if (points := _term(run, term))]
            ys = [y for curve in curves for _, y in curve.points]
            high = padded([0.0, *ys], least=0.05)[1]
            domain = ((0.0, max(x for c in curves for x, _ in c.points)), (min(ys) if min(ys) < 0 else 0.0, high))
            label = "gradient norm before clipping" if term == "grad_norm" else TERM_LABELS.get(term, term)
            ends = "; ".join(f"{c.label} from {c.points[0][1]:.3g} to {c.points[-1][1]:.3g}" for c in curves)
            words = f"{label} of {own[0].title} over training steps, mean of each epoch: {ends}."
            plots.append(
                curve_plot(f"{prefix}-term-{method}-{term}", label, curves, axes=("step", ""), domain=domain,
                           description=words, switch=_switch(own[0]), height=170.0)
            )  # fmt: skip
        out[own[0].title] = plots
    return out


def _term(run: Trained, term: str) -> list[Point]:
    if term == "grad_norm":
        return [(float(e.step), e.grad_norm) for e in run.log]
    return [(float(e.step), e.terms[term]) for e in run.log if term in e.terms]


def _switch(run: Trained) -> float | None:
    return None if run.facts.hardest_from_step is None else float(run.facts.hardest_from_step)


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


def cost_plots(prefix: str, runs: pd.DataFrame, subject: str) -> list[Plot]:
    """rSum against training time, memory and size, mean over seeds."""
    plots = []
    finished = runs[(runs["kind"] != "control") & (runs["status"] == "finished")]
    for column, label in COSTS:
        means = finished.groupby("method", sort=False)[[column, "rsum"]].mean().dropna()
        titles = _competitors(runs)
        factor = 1.0
        if column == "seconds":
            factor, unit = next(
                (1 / size, unit) for size, unit in UNITS if means[column].max() >= 2 * size or size == 1
            )
            label = f"{label}, {unit}"
        points = [
            Labelled(titles[str(method)], row[column] * factor, row["rsum"], strong=method == subject)
            for method, row in means.iterrows()
        ]
        if not points:
            continue
        words = "; ".join(f"{p.label} {p.x:.3g} and {p.y:.1f}" for p in points)
        plots.append(
            scatter_plot(f"{prefix}-cost-{column}", label, points, axes=(label, "rSum"),
                         description=f"{label} and rSum, mean over seeds: {words}.")
        )  # fmt: skip
    return plots
