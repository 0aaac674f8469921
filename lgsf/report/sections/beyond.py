"""The report's section "Beyond R@K": tables and plots of one dataset, from the table of lgsf.tables.beyond."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lgsf.metrics.difficulty import RECALL_AT
from lgsf.metrics.hubness import K
from lgsf.metrics.names import KEY_METRICS, metric_label
from lgsf.metrics.relevance import DIRECTIONS
from lgsf.render.block import Block, Cell, counted_cell, looks_cell, name_cell, numbers, table_block, value_cell, words
from lgsf.render.numbers import NOTHING, PROTOCOL_LABELS, decimal, listing
from lgsf.render.plots import Curve, Plot, curve_plot
from lgsf.tables.beyond import NOT_SINGLE, PEOPLE

# what, direction, metric, label
Column = tuple[str, str, str, str]
NOT_AVAILABLE = "n/a"
TRUE_METRICS = {"r1": "R@1", "r5": "R@5", "r10": "R@10", "r_precision": "R-P", "map_at_r": "mAP@R"}
PEOPLE_LABELS = {"expert": "experts, grades 1–4", "crowd": "crowd, share of yes"}


@dataclass(frozen=True)
class Beyond:
    """Everything of the section; None or empty where the data do not carry it, `absent` says why."""

    true: list[Block]
    coco: Block | None
    people: Block | None
    hubs: Block | None
    galleries: Block | None
    difficulty: Block | None
    alone: Block | None
    plots: list[Plot]
    absent: list[str]


def beyond_part(dataset: str, table: pd.DataFrame, runs: pd.DataFrame, summary: pd.DataFrame) -> Beyond:
    """The section about one dataset.

    table    lgsf.tables.beyond, rows of this dataset
    runs     finished and absent runs of this dataset under its first protocol; summary: of all its protocols
    """
    eccv = [
        ("eccv", d, m, f"ECCV {d} {TRUE_METRICS[m]}") for d in DIRECTIONS for m in ("map_at_r", "r_precision", "r1")
    ]
    cxc = [("cxc", d, "r1", f"CxC {d} R@1") for d in DIRECTIONS]
    hubs = [
        ("hubs", d, metric, f"{d} {label}")
        for d in DIRECTIONS
        for metric, label in ((f"skewness_{K}", "skewness"), (f"antihubs_{K}", "never found, %"))
    ]
    return Beyond(
        true=_true(dataset, table, runs),
        coco=_methods(f"{dataset}-coco", f"ECCV Caption and CxC on {dataset}, percent", table, runs, [*eccv, *cxc]),
        people=_people(dataset, table, runs),
        hubs=_methods(f"{dataset}-hubs", f"Hubs on {dataset}: how often candidates are among the first {K}", table, runs, hubs, best=False),
        galleries=_galleries(dataset, summary),
        difficulty=_difficulty(dataset, table),
        alone=_alone(dataset, table, runs),
        plots=_plots(dataset, table),
        absent=_absent(table),
    )  # fmt: skip


def _true(dataset: str, table: pd.DataFrame, runs: pd.DataFrame) -> list[Block]:
    """One table per direction: what is true counts as right, beside R@1 of the own pair alone."""
    blocks = []
    for d in DIRECTIONS:
        columns = [("own", d, "r1", f"{d} R@1, own pair alone")]
        columns += [("true", d, metric, f"{d} {label}") for metric, label in TRUE_METRICS.items()]
        caption = f"{d} on {dataset} if everything that is true counts as right, percent"
        blocks.append(_methods(f"{dataset}-true-{d}", caption, table, runs, columns))
    return [block for block in blocks if block is not None]


def _methods(
    id_: str, caption: str, table: pd.DataFrame, runs: pd.DataFrame, columns: Sequence[Column], *, best: bool = True
) -> Block | None:
    """Method x column: mean ± SD over the seeds that have the number; None where no run has any."""
    measured = table[table["what"].isin({what for what, *_ in columns}) & (table["metric"] != "")]
    if measured.empty:
        return None
    values = {(what, d, metric): _of_runs(table, runs, what, d, metric) for what, d, metric, _ in columns}
    titles = runs.drop_duplicates("method").set_index("method")
    single = set(titles.index[~titles["kind"].isin(NOT_SINGLE)])  # the best of these is marked
    top = {
        key: max((own.mean() for method, own in found.items() if method in single), default=np.nan)
        for key, found in values.items()
    }
    rows = []
    for method, row in titles.iterrows():
        cells = [name_cell(row["title"], row["kind"])]
        for what, direction, metric, _ in columns:
            found = values[what, direction, metric].get(str(method))
            if found is None:
                cells.append(Cell(NOT_AVAILABLE))
                continue
            is_best = best and method in single and found.mean() == top[what, direction, metric]
            places = 2 if metric.startswith("skewness") else 1
            cells.append(value_cell(found.mean(), found.std(ddof=1) if len(found) > 1 else np.nan, places=places,
                                    css="best" if is_best else ""))  # fmt: skip
        rows.append([*cells, _looks(str(method), runs), _seeds(str(method), measured, runs)])
    heads = [*words("method"), *numbers(*(label for *_, label in columns), "dev looks", "seeds")]
    return table_block(id_, caption, heads, rows)


def _of_runs(table: pd.DataFrame, runs: pd.DataFrame, what: str, direction: str, metric: str) -> dict[str, pd.Series]:
    """Method -> values of its runs; "own" are the recalls that every other table shows."""
    if what == "own":
        rows, column = runs[runs["status"] == "finished"], f"{direction}_{metric}"
    else:
        chosen = (table["what"] == what) & (table["direction"] == direction) & (table["metric"] == metric)
        rows, column = table[chosen], "value"
    found = {str(method): group[column].dropna().astype(float) for method, group in rows.groupby("method", sort=False)}
    return {method: values for method, values in found.items() if len(values)}


def _seeds(method: str, measured: pd.DataFrame, runs: pd.DataFrame) -> Cell:
    n = measured.loc[measured["method"] == method, "seed"].nunique()
    expected = int((runs["method"] == method).sum())
    return counted_cell(n, expected)


def _looks(method: str, runs: pd.DataFrame) -> Cell:
    """Looks at dev behind a method's runs, as in every other table."""
    return looks_cell(runs.loc[runs["method"] == method, "dev_looks"].mean())


def _people(dataset: str, table: pd.DataFrame, runs: pd.DataFrame) -> Block | None:
    """τ_b per kind of judgement, with the mean of the seeds' intervals over images."""
    judged = table[table["what"].str.startswith(PEOPLE)]
    if judged.empty:
        return None
    kinds = list(dict.fromkeys(judged["what"]))
    names: list[str] = []
    rows = []
    for what in kinds:
        kind, pairs = what.removeprefix(PEOPLE), judged.loc[judged["what"] == what, "n"].max()
        names += [f"τb, {PEOPLE_LABELS.get(kind, kind)} ({decimal(pairs, 0)} pairs)", "95 % over images"]
    for method, row in runs.drop_duplicates("method").set_index("method").iterrows():
        cells = [name_cell(row["title"], row["kind"])]
        for what in kinds:
            own = judged[(judged["what"] == what) & (judged["method"] == method)]
            if own.empty:
                cells += [Cell(NOT_AVAILABLE), Cell(NOT_AVAILABLE)]
                continue
            cells.append(value_cell(own["value"].mean(), own["value"].std(ddof=1), places=3))
            low, high = own["low"].mean(), own["high"].mean()
            shown = Cell(f"{decimal(low, 3)} to {decimal(high, 3)}", sort=float(low), css="quiet")
            cells.append(Cell(NOTHING) if np.isnan(low) else shown)
        rows.append([*cells, _looks(str(method), runs), _seeds(str(method), judged, runs)])
    columns = [*words("method"), *numbers(*names, "dev looks", "seeds")]
    return table_block(f"{dataset}-people", f"Agreement with people on {dataset}", columns, rows)


def _galleries(dataset: str, summary: pd.DataFrame) -> Block | None:
    """The same runs against the galleries of both protocols; None where there is one."""
    protocols = [str(name) for name in dict.fromkeys(summary["protocol"])]
    if len(protocols) < 2:
        return None
    means = summary.set_index(["method", "protocol", "metric"])["mean"]
    short = {"folds": "folds", "full": "whole"}
    names = [f"{metric_label(metric)}, {short[p]}" for metric in KEY_METRICS for p in protocols]
    rows = []
    for method, own in summary.groupby("method", sort=False):
        cells = [name_cell(own["title"].iloc[0], own["kind"].iloc[0])]
        for metric in KEY_METRICS:
            cells += [value_cell(float(means[method, p, metric]), float("nan")) for p in protocols]
        rows.append([*cells, looks_cell(own["dev_looks"].iloc[0])])
    caption = f"The same ranks on {dataset} against two galleries: {listing([PROTOCOL_LABELS[p] for p in protocols])}"
    return table_block(f"{dataset}-galleries", caption, [*words("method"), *numbers(*names, "dev looks")], rows)


def _shares(table: pd.DataFrame, direction: str, k: int) -> list[float]:
    """Percent of queries found by exactly 0, 1, ... of the runs; empty where there is no run."""
    rows = table[(table["what"] == "difficulty") & (table["direction"] == direction)].set_index("metric")["value"]
    names = [f"by_{m}_r{k}" for m in range(len(rows)) if f"by_{m}_r{k}" in rows.index]
    return [float(rows[name]) for name in names]


def _difficulty(dataset: str, table: pd.DataFrame) -> Block | None:
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


def _alone(dataset: str, table: pd.DataFrame, runs: pd.DataFrame) -> Block | None:
    rows = table[table["metric"].str.startswith("alone_")]
    if rows.empty:
        return None
    columns = [(d, k) for d in DIRECTIONS for k in RECALL_AT]
    values = rows.set_index(["method", "direction", "metric"])["value"]
    cells = [
        [name_cell(own["title"].iloc[0], own["kind"].iloc[0])]
        + [value_cell(float(values[method, d, f"alone_r{k}"]), float("nan")) for d, k in columns]
        + [_looks(str(method), runs)]
        for method, own in rows.groupby("method", sort=False)
    ]
    heads = [*words("method"), *numbers(*(f"{d}, first {k}" for d, k in columns), "dev looks")]
    return table_block(f"{dataset}-alone", f"Queries of {dataset} that one method alone finds, percent", heads, cells)


def _plots(dataset: str, table: pd.DataFrame) -> list[Plot]:
    """Percent of queries that at least m runs find, over m: first 1 in colour, first 10 in grey."""
    plots = []
    for direction in DIRECTIONS:
        lines = {}
        for k in RECALL_AT:
            shares = _shares(table, direction, k)
            lines[k] = [(float(m), float(sum(shares[m:]))) for m in range(1, len(shares))]
        first, more = (lines[k] for k in RECALL_AT)
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
                [Curve("first 1", first)],
                axes=("m runs of " + str(len(first)), "percent of queries"),
                domain=((1.0, float(len(first))), (0.0, 100.0)),
                description=f"Percent of {direction} queries that at least m of {len(first)} runs find: {words}.",
                context=[more],
                x_ticks=_whole(len(first)),
            )
        )
    return plots


def _whole(n: int) -> dict[float, str]:
    """A handful of whole numbers from 1 to n."""
    return {float(m): str(m) for m in (range(1, n + 1) if n <= 8 else {round(m) for m in np.linspace(1, n, 5)})}


def _absent(table: pd.DataFrame) -> list[str]:
    """Reasons, each once, with the runs where not all of them share it."""
    sentences = []
    runs = table.loc[table["seed"].notna(), ["method", "seed"]].drop_duplicates()
    labels = {"true": "exact relevance", "eccv": "ECCV Caption", "cxc": "CxC", "hubs": "hubs"}
    for note, rows in table[table["note"] != ""].groupby("note", sort=False):
        what = listing([label for name, label in labels.items() if name in set(rows["what"])])
        own = rows.drop_duplicates(["method", "seed"])
        who = []
        for title, group in own.groupby("title", sort=False):
            who.append(f"{title} {'seeds' if len(group) > 1 else 'seed'} {listing([str(s) for s in group['seed']])}")
        whose = "" if len(own) == len(runs) else f" ({'; '.join(who)})"
        sentences.append(f"n/a: {what}{whose}, since {note}.")
    return sentences
