"""Controls of the bench: is an effect found that is there by construction, and is one spared that is not?"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from typing import Any

import pandas as pd

from lgsf.config.validity import Validity
from lgsf.metrics.names import metric_label
from lgsf.render.block import Block, Cell, numbers, table_block, words
from lgsf.render.flow import Item, Paragraph
from lgsf.render.numbers import NOTHING, decimal, interval
from lgsf.report.collected import Collected
from lgsf.report.section import Section
from lgsf.statistics import format_p
from lgsf.statistics.equivalence import ALPHA
from lgsf.statistics.twins import CHANCE

Row = dict[Hashable, Any]

INTRODUCTION = (
    "Before a bench is believed when it shows no difference, it must be seen to show one that is there, and to show none "
    "where there is none. What is compared here was known before anything was trained."
)
METHOD = (
    "The tests are those of methods: seeds and pairs of twins both vary; p is corrected by Holm over the methods. Alarms: all "
    "runs of the method and of the reference are divided in every way into two sets of their numbers, as if names meant "
    "nothing; if the two are the same, a test at 5 % may call that share different."
)


def section(found: Collected, dataset: str) -> Section | None:
    """None for an experiment that names no controls of the bench."""
    design = found.experiment.validity
    if design is None or found.twins is None:
        return None
    own = found.twins[
        (found.twins["dataset"] == dataset)
        & (found.twins["reference"] == found.experiment.reference)
        & (found.twins["metric"] == design.metric)
    ]
    return Section(
        f"validity-{dataset}",
        found.titled("Controls of the bench", dataset),
        nav=found.titled("Controls", dataset),
        items=tuple(_items(found, design, own, dataset)),
    )


def _items(found: Collected, design: Validity, own: pd.DataFrame, dataset: str) -> Iterator[Item]:
    rows = {(row["method"], row["other"]): row for row in own.to_dict("records")}
    reference = found.experiment.reference
    yield Paragraph(INTRODUCTION)
    for method in design.methods:
        pair = f"{found.titles[method]} against {found.titles[reference]}"
        if (method, reference) not in rows:
            yield Paragraph(f"{pair}: not tested, runs are missing.", css="warn")
            continue
        row, chance = rows[method, reference], rows[method, CHANCE]
        passed, verdict = _found(row, chance, design) if method in design.finds else _spared(row)
        yield Paragraph(f"{pair}: {verdict}.", css="" if passed else "warn")
    if len(own):
        yield Paragraph(METHOD, css="note")
        yield _table(found, own, design, dataset)


def _found(row: Row, chance: Row, design: Validity) -> tuple[bool, str]:
    """Positive control: it must beat the reference and chance, and reach what was asked for."""
    passed = row["finding"] == chance["finding"] == "beats" and row["value"] >= design.least
    said = (
        f"{decimal(row['value'])} % against {decimal(row['value_other'])} %, corrected p {format_p(row['p_corrected'])}, "
        f"where {decimal(design.least)} % were asked for"
    )
    return passed, f"{'found' if passed else 'not found, although it is there'} ({said})"


def _spared(row: Row) -> tuple[bool, str]:
    """Negative control: the test must be silent, uncorrected as well; what divisions of the runs say stands by."""
    passed = row["p"] >= ALPHA
    said = f"{decimal(row['difference'], sign=True)} points, p {format_p(row['p'])}"
    if row["divisions"]:
        said += f"; {row['alarms']} alarms in {row['divisions']} divisions of the runs"
    verdict = "no difference shown" if passed else "no test" if math.isnan(row["p"]) else "a false alarm"
    return passed, f"{verdict} ({said})"


def _table(found: Collected, own: pd.DataFrame, design: Validity, dataset: str) -> Block:
    rows = [
        [
            Cell(found.titles[row["method"]]),
            Cell("chance" if row["other"] == CHANCE else found.titles[row["other"]]),
            Cell(decimal(row["value"]), sort=row["value"]),
            Cell(decimal(row["difference"], sign=True), interval(row["low"], row["high"]), row["difference"]),
            Cell(format_p(row["p"])),
            Cell(format_p(row["p_corrected"])),
            Cell(str(row["finding"])),
            Cell(f"{row['alarms']} of {row['divisions']}" if row["divisions"] else NOTHING),
        ]
        for row in own.to_dict("records")
    ]
    columns = [
        *words("method", "against"),
        *numbers("accuracy %", "difference", "p", "corrected p"),
        *words("finding", "alarms"),
    ]
    label = metric_label(design.metric)
    questions = f"{int(own['questions'].iloc[0])} questions about {int(own['pairs'].iloc[0])} pairs"
    return table_block(f"{dataset}-validity", f"Tests of {label}: {questions}", columns, rows)
