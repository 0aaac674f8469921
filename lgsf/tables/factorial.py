"""Effects of an experiment's factorial per dataset and protocol, as one table; missing cells are named."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lgsf.config.experiment import Experiment
from lgsf.config.factorial import Factorial
from lgsf.metrics.names import KEY_METRICS, PRIMARY
from lgsf.render.numbers import listing
from lgsf.statistics import EFFECT_COLUMNS, ProtocolName, Ranks, combinations, factorial_effects
from lgsf.statistics.factorial import TIMES
from lgsf.tables.files import read_parquet
from lgsf.tables.finished import Finished

FACTORIAL_COLUMNS = ("dataset", "protocol", *EFFECT_COLUMNS)
TABLE = "factorial.parquet"


def factorial_runs(experiment: Experiment, runs: pd.DataFrame, finished: Finished) -> pd.DataFrame:
    """What lgsf.statistics.factorial says of the finished runs; runs as lgsf.tables.collect.collect gives them.

    Columns are FACTORIAL_COLUMNS. Where a cell has no finished run there is no effect,
    and the note names the cell. Corrections are made within one dataset and protocol. Empty without a factorial.
    """
    design = experiment.factorial
    if design is None:
        return pd.DataFrame(columns=list(FACTORIAL_COLUMNS))
    tables = []
    for (dataset, protocol), group in runs.groupby(["dataset", "protocol"], sort=False):
        cells = group[(group["status"] == "finished") & group["method"].isin(list(design.cells))]
        ranks: dict[str, list[Ranks]] = {}
        for method, seed in zip(cells["method"], cells["seed"], strict=True):
            ranks.setdefault(method, []).append(finished.ranks(str(dataset), method, seed))
        if absent := [method for method in design.cells if method not in ranks]:
            table = _without_effects(design, absent)
        else:
            name: ProtocolName = "folds" if protocol == "folds" else "full"
            table = factorial_effects(ranks, list(design.factors), design.cells, protocol=name)
        tables.append(table.assign(dataset=str(dataset), protocol=str(protocol)))
    return pd.concat(tables, ignore_index=True)[list(FACTORIAL_COLUMNS)]


def read_effects(tables: Path) -> pd.DataFrame:
    """The table of effects that `lgsf.tables.write.write_tables` left."""
    return read_parquet(tables / TABLE, needs=("protocol",))


def _without_effects(design: Factorial, absent: Sequence[str]) -> pd.DataFrame:
    """A row per effect and metric that holds no number and says which cells have no finished run."""
    named = [f"{method} ({' + '.join(design.cells[method]) or 'every part off'})" for method in absent]
    note = f"no finished run of {listing(named)}"
    empty = dict.fromkeys(EFFECT_COLUMNS, math.nan)
    rows = [
        {
            **empty,
            **{"effect": TIMES.join(effect), "order": len(effect), "metric": metric, "seeds": 0, "note": note},
            **{"primary": len(effect) == 1 and metric in PRIMARY, "finding": "n/a", "equivalence": "n/a"},
            "correction": "holm" if len(effect) == 1 and metric in PRIMARY else "bh",
        }
        for effect in combinations(list(design.factors))
        for metric in KEY_METRICS
    ]
    return pd.DataFrame(rows, columns=list(EFFECT_COLUMNS))
