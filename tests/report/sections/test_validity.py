"""Controls of the bench on the page: found, spared, and each way to fail."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest

from lgsf.config.validity import Validity
from lgsf.render.block import Block
from lgsf.render.flow import Paragraph
from lgsf.report.collected import Collected
from lgsf.report.sections.validity import section
from lgsf.statistics.twins import CHANCE, TWIN_COLUMNS

DESIGN = Validity(finds=("graph",), silent=("same",))


def _row(method: str, other: str, value: float, p: float, **changes: Any) -> dict[str, Any]:
    row = (
        dict.fromkeys(TWIN_COLUMNS, 0.0)
        | {"questions": 1500, "pairs": 150}
        | {
            **{"method": method, "other": other, "metric": "twin_relation", "value": value, "value_other": 50.0},
            **{"difference": value - 50.0, "low": value - 55.0, "high": value - 45.0, "p": p, "p_corrected": p},
            **{"finding": "beats" if p < 0.05 else "no difference shown"},
            **{"divisions": 0 if other == CHANCE else 126, "alarms": 0 if other == CHANCE else 4},
        }
    )
    return row | changes | {"dataset": "toy", "reference": "self"}


def _found(*rows: dict[str, Any], validity: Validity | None = DESIGN) -> Collected:
    experiment = SimpleNamespace(validity=validity, reference="self")
    titles = {"graph": "Graph", "same": "Same", "self": "Self"}
    twins = pd.DataFrame(rows, columns=["dataset", "reference", *TWIN_COLUMNS])
    found = SimpleNamespace(experiment=experiment, titles=titles, twins=twins, titled=lambda title, _: title)
    return cast("Collected", found)


GOOD = (
    _row("graph", "self", 80.0, 0.001),
    _row("graph", CHANCE, 80.0, 0.001),
    _row("same", "self", 50.5, 0.7),
    _row("same", CHANCE, 50.5, 0.6),
    _row("self", CHANCE, 50.0, 0.9),
)


def _sentences(found: Collected) -> Iterator[Paragraph]:
    made = section(found, "toy")
    assert made is not None
    yield from (item for item in made.items if isinstance(item, Paragraph) and " against " in item.text[:30])


def test_both_controls_hold() -> None:
    positive, negative = _sentences(_found(*GOOD))
    assert positive.text == (
        "Graph against Self: found (80.0 % against 50.0 %, corrected p 0.001, where 65.0 % were asked for)."
    )
    assert negative.text == (
        "Same against Self: no difference shown (+0.5 points, p 0.700; 4 alarms in 126 divisions of the runs)."
    )
    assert (positive.css, negative.css) == ("", "")
    made = section(_found(*GOOD), "toy")
    assert made is not None
    (table,) = (item for item in made.items if isinstance(item, Block))
    assert [row[0].text for row in table.rows] == ["Graph", "Graph", "Same", "Same", "Self"]


@pytest.mark.parametrize(
    ("place", "row", "words"),
    [
        (0, _row("graph", "self", 64.0, 0.001), "not found, although it is there (64.0 %"),
        (0, _row("graph", "self", 80.0, 0.2), "not found, although it is there"),
        (1, _row("graph", CHANCE, 80.0, 0.2), "not found, although it is there"),
        (2, _row("same", "self", 56.0, 0.04), "a false alarm (+6.0 points"),
        (2, _row("same", "self", 50.5, float("nan"), divisions=0), "no test (+0.5 points, p n/a)"),
    ],
)
def test_each_way_to_fail_is_a_warning(place: int, row: dict[str, Any], words: str) -> None:
    rows = [*GOOD]
    rows[place] = row
    failed = [sentence for sentence in _sentences(_found(*rows)) if sentence.css == "warn"]
    assert len(failed) == 1
    assert words in failed[0].text


def test_missing_runs_are_said() -> None:
    assert [sentence.text for sentence in _sentences(_found())] == [
        "Graph against Self: not tested, runs are missing.",
        "Same against Self: not tested, runs are missing.",
    ]


def test_an_experiment_without_controls_of_the_bench_has_no_such_section() -> None:
    assert section(_found(*GOOD, validity=None), "toy") is None
