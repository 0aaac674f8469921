"""Tests of twin accuracies per dataset, as one table: twins.parquet."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lgsf.config.experiment import Experiment
from lgsf.runs.names import APART
from lgsf.runs.twins import TwinAnswers, read_twins
from lgsf.statistics.twins import TWIN_COLUMNS, twin_tests
from lgsf.tables.files import read_parquet
from lgsf.tables.finished import Finished

TABLE = "twins.parquet"
SHOWN_COLUMNS = ("dataset", "reference", *TWIN_COLUMNS)


def twin_runs(experiment: Experiment, runs: pd.DataFrame, finished: Finished) -> pd.DataFrame:
    """What lgsf.statistics.twins says of every method against every reference; runs as lgsf.tables.collect gives them.

    Columns are SHOWN_COLUMNS. Controls and zero-shot rows are not tested. Empty where no dataset has twins.
    """
    rows = runs[(runs["status"] == "finished") & ~runs["kind"].isin(APART)]
    rows = rows.drop_duplicates(["dataset", "method", "seed"])  # protocols share their twins
    tables = []
    for dataset, group in rows.groupby("dataset", sort=False):
        answers: dict[str, list[TwinAnswers]] = {}
        for method, seed in zip(group["method"], group["seed"], strict=True):
            found = read_twins(finished.folder(str(dataset), method, seed))
            if found is not None and len(found.kind):
                answers.setdefault(method, []).append(found)
        for reference in experiment.references:
            if reference in answers:
                table = twin_tests(answers, reference)
                tables.append(table.assign(dataset=str(dataset), reference=reference))
    if not tables:
        return pd.DataFrame(columns=list(SHOWN_COLUMNS))
    return pd.concat(tables, ignore_index=True)[list(SHOWN_COLUMNS)]


def read_twin_tests(tables: Path) -> pd.DataFrame:
    """The table that `lgsf.tables.write.write_tables` left."""
    return read_parquet(tables / TABLE, needs=("alarms",))
