"""What plots of scores share: which methods, and the values of all seeds."""

from __future__ import annotations

import pandas as pd

from lgsf.config.experiment import Experiment


def seeds_told(experiment: Experiment) -> str:
    """How many seeds a method has, in words: imports bring their own."""
    sizes = sorted({len(method.seeds or experiment.seeds) for method in experiment.methods if not method.zero_shot})
    told = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    return f"{told} {'seed' if sizes == [1] else 'seeds'}"


def seed_scores(runs: pd.DataFrame, method: str, metric: str) -> tuple[list[float], float, float]:
    """Values of all finished seeds, their mean, and their SD (0 where one run shows none)."""
    values = runs.loc[runs["method"] == method, metric].dropna()
    spread = values.std(ddof=1) if len(values) > 1 else 0.0
    return values.tolist(), float(values.mean()), float(spread)


def competitors(runs: pd.DataFrame) -> dict[str, str]:
    """Method -> title of everything that is no control, in table order."""
    rows = runs[runs["kind"] != "control"].drop_duplicates("method")
    return dict(zip(rows["method"], rows["title"], strict=True))
