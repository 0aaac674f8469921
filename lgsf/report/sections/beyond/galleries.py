"""The same ranks against two galleries, side by side."""

from __future__ import annotations

import pandas as pd

from lgsf.metrics.names import KEY_METRICS, metric_label
from lgsf.render.block import Block, looks_cell, name_cell, numbers, table_block, value_cell, words
from lgsf.render.numbers import PROTOCOL_LABELS, listing


def galleries_block(dataset: str, summary: pd.DataFrame) -> Block | None:
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
