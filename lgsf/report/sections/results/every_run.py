"""Every run of one dataset, seed by seed."""

from __future__ import annotations

import pandas as pd

from lgsf.metrics.names import HEADLINE, in_percent
from lgsf.render.block import (
    Block,
    Cell,
    finite,
    looks_cell,
    metric_columns,
    name_cell,
    numbers,
    table_block,
    value_cell,
    words,
)
from lgsf.render.numbers import decimal


def every_run_block(id_: str, caption: str, runs: pd.DataFrame) -> Block:
    """One row per run of one dataset and protocol: nothing averaged, nothing left out."""
    rows = []
    for run in runs.to_dict("records"):
        values = [value_cell(run[metric], float("nan"), places=2 if in_percent(metric) else 1) for metric in HEADLINE]
        css = "" if run["status"] == "finished" else "warn"
        best = Cell(decimal(run["best_epoch"], 0), sort=finite(run["best_epoch"]))
        seed, status = Cell(str(run["seed"]), sort=float(run["seed"])), Cell(run["status"], css=css)
        rows.append([name_cell(run["title"], run["kind"]), seed, status, *values, best, looks_cell(run["dev_looks"])])
    columns = [*words("method"), *numbers("seed"), *words("status"), *metric_columns(HEADLINE)]
    return table_block(id_, caption, [*columns, *numbers("best epoch", "dev looks")], rows)
