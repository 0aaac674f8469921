"""What methods cost: time, memory and size beside rSum."""

from __future__ import annotations

import math

import pandas as pd

from lgsf.render.block import Block, Cell, finite, looks_cell, numbers, said_once, table_block, value_cell, words
from lgsf.render.flow import Details, Figures, Item, Paragraph
from lgsf.render.numbers import duration
from lgsf.render.panels import Panel, Row, Values, panel_plot
from lgsf.render.plots import DotRow, Plot, dot_plot, tick_text
from lgsf.report.collected import Collected
from lgsf.report.groups import method_groups
from lgsf.report.section import Section
from lgsf.report.seeds import competitors
from lgsf.runs.names import APART

UNITS = ((3600, "hours"), (60, "minutes"), (1, "seconds"))
TIMES = ("cpu_seconds", "seconds")
COSTS = (
    ("cpu_seconds", "processor time"),
    ("seconds", "wall time"),
    ("peak_memory_mb", "peak memory, MiB"),
    ("parameters", "deployed parameters"),
)
NOTE = (
    "Time is that of training alone, mean ± SD over seeds. Wall time grows with whatever else a machine does; processor time "
    "hardly does. Load is processor time per wall time: far below 100 % a training on one thread waited for others. “Training "
    "only” counts weights that evaluation never reads. Time and weights of an ensemble are sums over its members, its memory "
    "is that of the largest."
)
UNMEASURED = "These runs were made before processor time was recorded: wall time alone stands here."


def section(found: Collected, dataset: str) -> Section:
    runs = found.of(found.runs, dataset, found.protocols(dataset)[0])
    block = cost_block(f"{dataset}-cost", f"What training on {dataset} cost, mean over seeds", runs)
    notes = [NOTE] if not runs["cpu_seconds"].isna().all() else [UNMEASURED, NOTE]
    items: tuple[Item, ...] = (Paragraph("No trained run has finished."),)
    if block.rows:
        wide, narrow = cost_plots(dataset, found, dataset)
        items = (
            Figures((wide,), listed=True, css="wide"),
            Figures(tuple(narrow), css="narrow"),
            *(Paragraph(note, css="note", page_only=True) for note in notes),
            Details("Time, load, memory and size as a table", (said_once(block, "dev looks"),)),
        )
    return Section(f"{dataset}-costs", found.titled("What it cost", dataset), nav="Cost", items=items)


def cost_block(id_: str, caption: str, runs: pd.DataFrame) -> Block:
    """Training time, load, memory and size of each trained method of one dataset and protocol, beside its rSum."""
    rows = []
    for _, own in runs[~runs["kind"].isin(APART) & (runs["status"] == "finished")].groupby("method", sort=False):
        cost = own[["peak_memory_mb", "peak_gpu_memory_mb", "parameters", "parameters_training_only"]].mean()
        rows.append(
            [
                Cell(own["title"].iloc[0]),
                _time_cell(own["cpu_seconds"]),
                _time_cell(own["seconds"]),
                value_cell(float((100 * own["cpu_seconds"] / own["seconds"]).mean()), float("nan"), places=0),
                value_cell(cost["peak_memory_mb"], float("nan"), places=0),
                value_cell(cost["peak_gpu_memory_mb"], float("nan"), places=0),
                value_cell(cost["parameters"], float("nan"), places=0),
                value_cell(cost["parameters_training_only"], float("nan"), places=0),
                looks_cell(own["dev_looks"].mean()),
                value_cell(own["rsum"].mean(), own["rsum"].std()),
            ]
        )
    names = (
        *("processor time", "wall time", "load, %", "peak memory MiB", "peak GPU memory MiB"),
        *("parameters", "training only", "dev looks", "rSum"),
    )
    return table_block(id_, caption, [*words("method"), *numbers(*names)], rows)


def _time_cell(seconds: pd.Series[float]) -> Cell:
    """Mean over seeds, and its SD."""
    spread = seconds.std(ddof=1)
    minor = "" if math.isnan(spread) else f"± {duration(spread)}"
    return Cell(duration(seconds.mean()), minor, finite(seconds.mean()))


def cost_plots(prefix: str, found: Collected, dataset: str) -> tuple[Plot, list[Plot]]:
    """Time, memory and size of every trained method and seed: side by side for a desk, one by one for a phone."""
    runs = found.of(found.runs, dataset, found.protocols(dataset)[0])
    finished = runs[~runs["kind"].isin(APART) & (runs["status"] == "finished")]
    titles = {name: title for name, title in competitors(runs).items() if name in set(finished["method"])}
    groups = []
    for group in method_groups(found, dataset):
        rows = [Row(name, titles[name], name == found.subject) for name in group.methods if name in titles]
        groups += [(group.label, rows)] if rows else []
    order = [row for _, rows in groups for row in rows]
    panels, plots, words = [], [], []
    for column, label in COSTS:
        if finished[column].isna().all():
            continue
        factor, title = 1.0, label
        if column in TIMES:
            most = finished[column].max()
            factor, unit = next((1 / size, unit) for size, unit in UNITS if most >= 2 * size or size == 1)
            title = f"{label}, {unit}"
        values = {row.name: _values(finished, row.name, column, factor) for row in order}
        description = f"{title}: {'; '.join(f'{row.title} {values[row.name].said}' for row in order)}."
        panels.append(Panel(title, values, zero=True))
        dots = [
            DotRow(row.title, v.seeds, v.mean, v.mean, v.mean, row.strong) for row in order for v in (values[row.name],)
        ]
        plots.append(dot_plot(f"{prefix}-cost-{column}", title, dots, description=description))
        words.append(description)
    title = f"What each method cost on {dataset}: seeds and mean"
    return panel_plot(f"{prefix}-costs-picture", title, groups, panels, description=" ".join(words)), plots


def _values(finished: pd.DataFrame, method: str, column: str, factor: float) -> Values:
    own = (finished.loc[finished["method"] == method, column].dropna() * factor).tolist()
    mean = sum(own) / len(own) if own else math.nan
    return Values(own, mean, said=tick_text(float(f"{mean:.3g}")) if own else "")
