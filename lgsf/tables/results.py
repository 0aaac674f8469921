"""The table of results, built once: method x metric of one dataset and protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from lgsf.metrics.names import HEADLINE, higher_is_better
from lgsf.render.block import (
    Block,
    Cell,
    counted_cell,
    looks_cell,
    metric_columns,
    name_cell,
    numbers,
    table_block,
    value_cell,
    words,
)
from lgsf.render.numbers import NOTHING
from lgsf.tables.inputs import INPUTS, printed_inputs, single_models

MARKS = {"beats": "†", "is beaten by": "‡"}  # of findings about methods; nothing else earns one


def results_block(
    id_: str,
    caption: str,
    summary: pd.DataFrame,
    *,
    metrics: Sequence[str] = HEADLINE,
    findings: Mapping[tuple[str, str], str] | None = None,
    narrow: bool = False,
) -> Block:
    """Mean ± SD over seeds, the best single model marked in each column; methods in the order of `summary`.

    summary   rows of one dataset and protocol (lgsf.tables.summary)
    findings  (method, metric) -> what the tests say of it, where the table is to show that
    narrow    seeds have no column: a row that lacks some says so behind its name
    """
    scores = single_models(summary)
    best, single = _best_means(scores), set(scores["method"])
    inputs = printed_inputs(summary)
    rows = []
    for method, own in summary.groupby("method", sort=False):
        first = own.iloc[0]
        values = own.set_index("metric")[["mean", "sd"]].to_dict("index")
        cells = [Cell(first[name] or NOTHING) for name in inputs.columns]
        for metric in metrics:
            value = values.get(metric, {"mean": float("nan"), "sd": float("nan")})
            css = "best" if method in single and value["mean"] == best.get(metric) else ""
            mark = MARKS.get((findings or {}).get((str(method), metric), ""), "")
            cells.append(value_cell(value["mean"], value["sd"], css=css, mark=mark))
        title, n, expected = first["title"], int(first["n"]), int(first["expected"])
        if narrow and n < expected:
            title += f" ({n} of {expected} seeds)"
        seeds = [] if narrow else [counted_cell(n, expected)]
        rows.append([name_cell(title, first["kind"]), *cells, looks_cell(first["dev_looks"]), *seeds])
    columns = [*words("method", *(INPUTS[name] for name in inputs.columns)), *metric_columns(metrics)]
    columns += numbers("dev looks") if narrow else numbers("dev looks", "seeds")
    return table_block(id_, caption, columns, rows, inputs.note)


def _best_means(scores: pd.DataFrame) -> dict[str, float]:
    """Metric -> the best mean among these rows, which is the lowest one of ranks."""
    return {
        str(metric): float(means.max() if higher_is_better(str(metric)) else means.min())
        for metric, means in scores.groupby("metric")["mean"]
    }
