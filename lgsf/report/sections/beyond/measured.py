"""Method x measure beyond R@K: exact and verified relevance, agreement with people, hubs; mean ± SD over seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lgsf.metrics.hubness import K
from lgsf.metrics.relevance import DIRECTIONS
from lgsf.render.block import Block, Cell, counted_cell, looks_cell, name_cell, numbers, table_block, value_cell, words
from lgsf.render.numbers import NOTHING, decimal
from lgsf.tables.beyond import NOT_SINGLE, PEOPLE

# what, direction, metric, label
Column = tuple[str, str, str, str]
NOT_AVAILABLE = "n/a"
TRUE_METRICS = {"r1": "R@1", "r5": "R@5", "r10": "R@10", "r_precision": "R-P", "map_at_r": "mAP@R"}
PEOPLE_LABELS = {"expert": "experts, grades 1–4", "crowd": "crowd, share of yes"}


def true_blocks(dataset: str, table: pd.DataFrame, runs: pd.DataFrame) -> list[Block]:
    """One table per direction: what is true counts as right, beside R@1 of the own pair alone."""
    blocks = []
    for d in DIRECTIONS:
        columns = [("own", d, "r1", f"{d} R@1, own pair alone")]
        columns += [("true", d, metric, f"{d} {label}") for metric, label in TRUE_METRICS.items()]
        caption = f"{d} on {dataset} if everything that is true counts as right, percent"
        blocks.append(_methods(f"{dataset}-true-{d}", caption, table, runs, columns))
    return [block for block in blocks if block is not None]


def coco_block(dataset: str, table: pd.DataFrame, runs: pd.DataFrame) -> Block | None:
    """ECCV Caption and CxC; None where no run has them."""
    chosen = ("map_at_r", "r_precision", "r1")
    columns = [("eccv", d, metric, f"ECCV {d} {TRUE_METRICS[metric]}") for d in DIRECTIONS for metric in chosen]
    columns += [("cxc", d, "r1", f"CxC {d} R@1") for d in DIRECTIONS]
    return _methods(f"{dataset}-coco", f"ECCV Caption and CxC on {dataset}, percent", table, runs, columns)


def hubs_block(dataset: str, table: pd.DataFrame, runs: pd.DataFrame) -> Block | None:
    """Skewness and share never found; neither end is good, so nothing is marked."""
    measures = ((f"skewness_{K}", "skewness"), (f"antihubs_{K}", "never found, %"))
    columns = [("hubs", d, metric, f"{d} {label}") for d in DIRECTIONS for metric, label in measures]
    caption = f"Hubs on {dataset}: how often candidates are among the first {K}"
    return _methods(f"{dataset}-hubs", caption, table, runs, columns, best=False)


def people_block(dataset: str, table: pd.DataFrame, runs: pd.DataFrame) -> Block | None:
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
