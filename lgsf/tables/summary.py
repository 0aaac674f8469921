"""Mean and SD over seeds, and differences to a reference."""

from __future__ import annotations

import pandas as pd

from lgsf.metrics.names import RANK_METRICS, higher_is_better, is_twin
from lgsf.runs.names import APART
from lgsf.tables.collect import GROUP
from lgsf.tables.inputs import INPUTS


def metric_columns(runs: pd.DataFrame) -> list[str]:
    """The metrics of a table of runs: ranks, then twin accuracies."""
    return [*RANK_METRICS, *(c for c in runs.columns if is_twin(c))]


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """Mean, sample SD (NaN for one run), smallest and largest over finished runs; one row per metric.

    `n` runs of `expected` went into a row; `complete` says whether that is all of them. `dev_looks` is how often
    one of these runs, or the tuning behind it, looked at dev.
    """
    rows = []
    for (dataset, protocol, method), group in runs.groupby(GROUP, sort=False):
        for metric in metric_columns(runs):
            values = group[metric].dropna()
            if values.empty and is_twin(metric):
                continue
            rows.append(
                {
                    **{"dataset": dataset, "protocol": protocol, "method": method},
                    **{"title": group["title"].iloc[0], "kind": group["kind"].iloc[0]},
                    **{name: _told(group[name]) for name in INPUTS},
                    "metric": metric,
                    **{
                        "mean": values.mean(),
                        "sd": values.std(ddof=1),
                        "min": values.min(),
                        "max": values.max(),
                    },
                    **{"n": len(values), "expected": len(group), "complete": len(values) == len(group)},
                    "dev_looks": group["dev_looks"].mean(),
                }
            )
    columns = [*GROUP, "title", "kind", *INPUTS, "metric", "mean", "sd", "min", "max", "n", "expected", "complete"]
    columns += ["dev_looks"]
    return pd.DataFrame(rows, columns=columns)


def _told(values: pd.Series[str]) -> str:
    """The one input that the finished runs of a method share; "" where none has finished."""
    return next((value for value in values if value), "")


def differences(summary: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Every method's mean minus the reference's, in points and in percent of the reference, with both SDs.

    Controls and zero-shot rows are no competitors and are left out; so are ranks, of which less is more. Empty
    without the reference.
    """
    shared = ["dataset", "protocol", "metric"]
    scores = summary[~summary["kind"].isin(APART) & summary["metric"].map(higher_is_better)]
    base = scores.loc[scores["method"] == reference, [*shared, "mean", "sd", "n", "dev_looks"]]
    table = scores[scores["method"] != reference].merge(base, on=shared, suffixes=("", "_reference"))
    table["difference"] = table["mean"] - table["mean_reference"]
    table["relative_percent"] = 100 * table["difference"] / table["mean_reference"].where(table["mean_reference"] != 0)
    table["reference"] = reference
    both = ["dev_looks", "dev_looks_reference"]
    columns = ["title", "reference", "metric", "difference", "relative_percent", "mean", "sd", "n"]
    return table[[*GROUP, *columns, "mean_reference", "sd_reference", "n_reference", "expected", *both]].reset_index(
        drop=True
    )
