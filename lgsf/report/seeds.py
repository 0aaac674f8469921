"""What plots of scores share: which methods, and the values of all seeds."""

from __future__ import annotations

import pandas as pd


def seed_scores(runs: pd.DataFrame, method: str, metric: str) -> tuple[list[float], float, float]:
    """Values of all finished seeds, their mean, and their SD (0 where one run shows none)."""
    values = runs.loc[runs["method"] == method, metric].dropna()
    spread = values.std(ddof=1) if len(values) > 1 else 0.0
    return values.tolist(), float(values.mean()), float(spread)


def competitors(runs: pd.DataFrame) -> dict[str, str]:
    """Method -> title of everything that is no control, in table order."""
    rows = runs[runs["kind"] != "control"].drop_duplicates("method")
    return dict(zip(rows["method"], rows["title"], strict=True))
