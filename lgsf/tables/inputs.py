"""What scores rest on beside the method - text encoder, features, ensemble - so that no table mixes them silently.

Runs carry the three as columns (lgsf.runs.facts.RunFacts.inputs). A printed table shows a column wherever its rows
differ, and says the common value in a note where they agree.
"""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from lgsf.runs.names import APART, UNKNOWN

INPUTS = {"text": "text encoder", "visual": "features", "ensemble": "ensemble"}
SINGLE = {"yes": "means over several models", "no": "single models", UNKNOWN: "single model or mean unknown"}


class PrintedInputs(NamedTuple):
    """Which columns a table prints, and the sentence under it; "" where every input has its column."""

    columns: tuple[str, ...]
    note: str


def single_models(summary: pd.DataFrame) -> pd.DataFrame:
    """The rows that compete for the best mean: neither controls, nor trained on other data, nor means over several."""
    return summary[~summary["kind"].isin(APART) & (summary["ensemble"] != "yes")]


def printed_inputs(rows: pd.DataFrame) -> PrintedInputs:
    """What a table of these rows must say of their inputs; controls and rows without a finished run have none."""
    told = rows[rows["text"] != ""]
    columns, common = [], []
    for column, label in INPUTS.items():
        values = list(dict.fromkeys(told[column]))
        if len(values) > 1:
            columns.append(column)
        elif values:
            common.append(SINGLE[values[0]] if column == "ensemble" else f"{label} {values[0]}")
    return PrintedInputs(tuple(columns), f"All methods: {', '.join(common)}." if common else "")


def changed_inputs(rows: pd.DataFrame, reference: str) -> dict[str, str]:
    """Method -> what beside the method tells it from the reference, for those of which something does."""
    told = rows[rows["text"] != ""].drop_duplicates("method").set_index("method")[list(INPUTS)].to_dict("index")
    theirs = told.get(reference, {})
    changes = {
        str(method): ", ".join(
            f"{INPUTS[str(name)]} {value} against {theirs[name]}"
            for name, value in own.items()
            if theirs and value != theirs[name]
        )
        for method, own in told.items()
    }
    return {method: words for method, words in changes.items() if words}
