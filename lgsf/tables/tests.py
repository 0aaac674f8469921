"""Tests of every method against each reference, per dataset and protocol, as one table."""

from __future__ import annotations

import pandas as pd

from lgsf.config.experiment import Experiment
from lgsf.runs.names import APART
from lgsf.statistics import COLUMNS, Ranks, method_tests
from lgsf.tables.finished import Finished

SHOWN_COLUMNS = ("dataset", "reference", *COLUMNS)


def experiment_tests(experiment: Experiment, runs: pd.DataFrame, finished: Finished) -> pd.DataFrame:
    """What lgsf.statistics says of every method against every reference; runs as lgsf.tables.collect.collect gives them.

    Columns are SHOWN_COLUMNS. Controls and zero-shot rows are not tested. A reference without a finished run has no
    rows. Corrections are made within one dataset, protocol and reference.
    """
    rows = runs[(runs["status"] == "finished") & ~runs["kind"].isin(APART)]
    tables = []
    for (dataset, protocol), group in rows.groupby(["dataset", "protocol"], sort=False):
        ranks: dict[str, list[Ranks]] = {}
        for method, seed in zip(group["method"], group["seed"], strict=True):
            ranks.setdefault(method, []).append(finished.ranks(str(dataset), method, seed))
        for reference in experiment.references:
            if reference in ranks and len(ranks) > 1:
                table = method_tests(ranks, reference, protocol="folds" if protocol == "folds" else "full")
                tables.append(table.assign(dataset=str(dataset), reference=reference))
    if not tables:
        return pd.DataFrame(columns=list(SHOWN_COLUMNS))
    return pd.concat(tables, ignore_index=True)[list(SHOWN_COLUMNS)]
