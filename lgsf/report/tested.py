"""What the tests say of one method against another, as it holds for methods: seeds and images both vary."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from lgsf.report.collected import Collected
from lgsf.statistics import format_p

Row = Mapping[Hashable, Any]
BEATS, BEATEN, UNTESTED = "beats", "is beaten by", "n/a"


def tested_rows(found: Collected, dataset: str, protocol: str, reference: str) -> pd.DataFrame:
    """All methods against a reference: one row per method and metric, of scope "methods"."""
    rows = found.of(found.tests, dataset, protocol)
    return rows[(rows["reference"] == reference) & (rows["scope"] == "methods")]


def tested_subject(
    found: Collected, dataset: str, protocol: str, reference: str
) -> dict[Hashable, dict[Hashable, Any]]:
    """Metric -> the row of the method under test; {} where nothing was compared."""
    rows = tested_rows(found, dataset, protocol, reference)
    return rows[rows["method"] == found.subject].set_index("metric").to_dict("index")


def p_words(p: float) -> str:
    """`p = 0.002`, `p < 0.001`, or "" where there is no test."""
    said = "" if math.isnan(p) else format_p(p)
    return f"p {said.replace('<', '< ') if said.startswith('<') else f'= {said}'}" if said else ""
