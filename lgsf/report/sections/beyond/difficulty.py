"""How hard the queries are: who finds them, and which one method alone finds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lgsf.metrics.difficulty import RECALL_AT
from lgsf.metrics.relevance import DIRECTIONS
from lgsf.render.block import Block, Cell, looks_cell, name_cell, numbers, table_block, value_cell, words
from lgsf.render.curves import Curve, colour, curve_plot
from lgsf.render.plots import Plot


def difficulty_block(dataset: str, table: pd.DataFrame) -> Block | None:
    """Shares of queries that every, some and no run finds; None below two runs."""
    rows, n_runs = [], 0
    for direction in DIRECTIONS:
        for k in RECALL_AT:
            if not (shares := _shares(table, direction, k)):
                return None
            n_runs = len(shares) - 1
            values = (shares[-1], sum(shares[1:-1]), shares[0])
            rows.append([Cell(f"{direction}, first {k}"), *(value_cell(v, float("nan")) for v in values)])
    columns = [*words("found among"), *numbers("by every run, %", "by some, %", "by none, %")]
    caption = f"Queries of {dataset} by who finds them ({n_runs} {'run' if n_runs == 1 else 'runs'}, controls left out)"
    return table_block(f"{dataset}-difficulty", caption, columns, rows) if n_runs > 1 else None


def alone_block(dataset: str, table: pd.DataFrame, runs: pd.DataFrame) -> Block | None:
    """Shares of queries that a method finds and no other; None below two methods."""
    rows = table[table["metric"].str.startswith("alone_")]
    if rows.empty:
        return None
    columns = [(d, k) for d in DIRECTIONS for k in RECALL_AT]
    values = rows.set_index(["method", "direction", "metric"])["value"]
    cells = [
        [name_cell(own["title"].iloc[0], own["kind"].iloc[0])]
        + [value_cell(float(values[method, d, f"alone_r{k}"]), float("nan")) for d, k in columns]
        + [looks_cell(runs.loc[runs["method"] == method, "dev_looks"].mean())]
        for method, own in rows.groupby("method", sort=False)
    ]
    heads = [*words("method"), *numbers(*(f"{d}, first {k}" for d, k in columns), "dev looks")]
    return table_block(f"{dataset}-alone", f"Queries of {dataset} that one method alone finds, percent", heads, cells)


def found_plots(dataset: str, table: pd.DataFrame) -> list[Plot]:
    """Percent of queries that at least m runs find, over m: first 1 in colour, first 10 in grey."""
    plots = []
    for direction in DIRECTIONS:
        lines = {}
        for k in RECALL_AT:
            shares = _shares(table, direction, k)
            lines[k] = [(float(m), float(sum(shares[m:]))) for m in range(1, len(shares))]
        first = lines[RECALL_AT[0]]
        if len(first) < 2:
            return []
        words = "; ".join(
            f"among the first {k} by at least one {line[0][1]:.1f}, by all {line[-1][1]:.1f}"
            for k, line in lines.items()
        )
        plots.append(
            curve_plot(
                f"{dataset}-found-{direction}",
                f"{direction} queries found by at least m runs",
                [Curve(f"among the first {k}", lines[k], css=colour(n)) for n, k in enumerate(RECALL_AT)],
                axes=("m runs of " + str(len(first)), "percent of queries"),
                domain=((1.0, float(len(first))), (0.0, 100.0)),
                description=f"Percent of {direction} queries that at least m of {len(first)} runs find: {words}.",
                x_ticks=_whole(len(first)),
            )
        )
    return plots


def _shares(table: pd.DataFrame, direction: str, k: int) -> list[float]:
    """Percent of queries found by exactly 0, 1, ... of the runs; empty where there is no run."""
    rows = table[(table["what"] == "difficulty") & (table["direction"] == direction)].set_index("metric")["value"]
    names = [f"by_{m}_r{k}" for m in range(len(rows)) if f"by_{m}_r{k}" in rows.index]
    return [float(rows[name]) for name in names]


def _whole(n: int) -> dict[float, str]:
    """A handful of whole numbers from 1 to n."""
    return {float(m): str(m) for m in (range(1, n + 1) if n <= 8 else {round(m) for m in np.linspace(1, n, 5)})}
