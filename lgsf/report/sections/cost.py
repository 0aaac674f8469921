"""What methods cost: time, memory and size beside rSum."""

from __future__ import annotations

import pandas as pd

from lgsf.render.block import Block, Cell, finite, looks_cell, numbers, table_block, value_cell, words
from lgsf.render.flow import Figures, Paragraph
from lgsf.render.numbers import duration
from lgsf.render.plots import Labelled, Plot, scatter_plot
from lgsf.report.collected import Collected
from lgsf.report.section import Section
from lgsf.report.seeds import competitors
from lgsf.runs.names import APART

UNITS = ((3600, "hours"), (60, "minutes"), (1, "seconds"))
COSTS = (
    ("seconds", "training time"),
    ("peak_memory_mb", "peak memory, MiB"),
    ("parameters", "deployed parameters"),
)


NOTE = (
    "Time is that of training alone. “Training only” counts weights that evaluation never reads. Time and weights of an "
    "ensemble are sums over its members, its memory is that of the largest."
)


def section(found: Collected, dataset: str) -> Section:
    runs = found.of(found.runs, dataset, found.protocols(dataset)[0])
    items = (
        Figures(tuple(cost_plots(dataset, runs, found.subject))),
        cost_block(f"{dataset}-cost", f"What training on {dataset} cost, mean over seeds", runs),
        Paragraph(NOTE, css="note", page_only=True),
    )
    return Section(f"{dataset}-costs", found.titled("What it cost", dataset), nav="Cost", items=items)


def cost_block(id_: str, caption: str, runs: pd.DataFrame) -> Block:
    """Mean training time, memory and size of each trained method of one dataset and protocol, beside its rSum."""
    rows = []
    for _, own in runs[~runs["kind"].isin(APART) & (runs["status"] == "finished")].groupby("method", sort=False):
        cost = own[["seconds", "peak_memory_mb", "peak_gpu_memory_mb", "parameters", "parameters_training_only"]].mean()
        rows.append(
            [
                Cell(own["title"].iloc[0]),
                Cell(duration(cost["seconds"]), sort=finite(cost["seconds"])),
                value_cell(cost["peak_memory_mb"], float("nan"), places=0),
                value_cell(cost["peak_gpu_memory_mb"], float("nan"), places=0),
                value_cell(cost["parameters"], float("nan"), places=0),
                value_cell(cost["parameters_training_only"], float("nan"), places=0),
                looks_cell(own["dev_looks"].mean()),
                value_cell(own["rsum"].mean(), own["rsum"].std()),
            ]
        )
    names = (
        "training time",
        "peak memory MiB",
        "peak GPU memory MiB",
        "parameters",
        "training only",
        "dev looks",
        "rSum",
    )
    return table_block(id_, caption, [*words("method"), *numbers(*names)], rows)


def cost_plots(prefix: str, runs: pd.DataFrame, subject: str) -> list[Plot]:
    """rSum against training time, memory and size, mean over seeds."""
    plots = []
    finished = runs[~runs["kind"].isin(APART) & (runs["status"] == "finished")]
    for column, label in COSTS:
        means = finished.groupby("method", sort=False)[[column, "rsum"]].mean().dropna()
        titles = competitors(runs)
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
