"""The section of the report that holds our runs against the claim and the published numbers, as blocks and Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from lgsf.config.experiment import Experiment
from lgsf.metrics.names import KEY_METRICS
from lgsf.render.block import Block, Cell, finite, metric_columns, numbers, table_block, words
from lgsf.render.markdown import block_lines, markdown_text
from lgsf.render.numbers import decimal, interval, listing
from lgsf.verdict.judge import NOT_APPLICABLE, unjudged
from lgsf.verdict.published import FIRST_FOLD, FIVE_FOLDS
from lgsf.verdict.rule import BAND

PROTOCOL_WORDS = {FIVE_FOLDS: "1K, five folds", FIRST_FOLD: "1K, first fold", "coco5k": "5K", "f30k_1k": "1K"}
ENSEMBLE_WORDS = {True: "ensemble", False: "single"}
CSS = {"above": "warn", "below": "warn", "not comparable": "quiet"}
WORDS = ("reproduced", "above", "below", "not comparable")
UNITS = {"relative": " %", "absolute": ""}
RULE = (
    f"Reproduced: no further from the published value than {BAND:g} √(s² / n + s′²), with s our SD over n seeds and s′ "
    "that of published runs (Rao et al., SIGIR 2022); both numbers stand on the same test images, so only seeds make "
    "them differ. The metric that is furthest out names the verdict. Anything with other inputs is not comparable."
)
READINGS = (
    "The abstract says neither whether its gains are relative (percent) or absolute (points) nor over which method, so "
    "both readings stand here and the reference is named. Intervals are about the methods: seeds and images both vary."
)


@dataclass(frozen=True)
class VerdictPart:
    """One dataset: the claim, why it has no number, published rows beside ours, and the sentence where there are none."""

    dataset: str
    claim: Block
    reason: str
    published: Block | None
    sentence: str
    counted: str

    @property
    def words(self) -> str:
        """How to read the claim's numbers, or why there are none."""
        return f"No number of ours stands beside the claim: {self.reason}." if self.reason else READINGS


def verdict_parts(
    experiment: Experiment, runs: pd.DataFrame, verdicts: pd.DataFrame, claims: pd.DataFrame
) -> list[VerdictPart]:
    """What the section shows of every dataset; the tables as lgsf.verdict.judge makes them."""
    titles = {method.name: method.title for method in experiment.methods}
    parts = []
    for dataset in experiment.datasets:
        own, claim = verdicts[verdicts["dataset"] == dataset], claims[claims["dataset"] == dataset]
        absent = unjudged(experiment, runs, dataset) if own.empty else ""
        parts.append(
            VerdictPart(
                dataset=dataset,
                claim=_claim_block(f"{dataset}-claim", f"The claim on {dataset}", claim, titles),
                reason=str(claim["reason"].iloc[0]),
                published=None if absent else _published_block(f"{dataset}-published", dataset, own, titles),
                sentence=f"Nothing is compared with published numbers: {absent}." if absent else "",
                counted="" if absent else counted(own),
            )
        )
    return parts


def counted(verdicts: pd.DataFrame) -> str:
    """`5 published rows: 3 reproduced, 1 below and 1 not comparable`."""
    rows = verdicts.drop_duplicates(["method", "line"])
    found = rows["verdict"].value_counts()
    words = listing([f"{found[word]} {word}" for word in WORDS if word in found])
    return f"{len(rows)} published {'row' if len(rows) == 1 else 'rows'}: {words}"


def verdict_markdown(experiment: Experiment, parts: list[VerdictPart]) -> str:
    """`verdicts.md`: the same tables for a terminal or a repository page."""
    lines = [f"# {markdown_text(experiment.title or experiment.experiment)}: the claim and published numbers"]
    for part in parts:
        lines += ["", f"## {markdown_text(part.dataset)}", "", *block_lines(part.claim)]
        lines += ["", markdown_text(part.words)]
        if part.published is None:
            lines += ["", markdown_text(part.sentence)]
        else:
            lines += ["", *block_lines(part.published), "", markdown_text(f"{part.counted}. {RULE}")]
    return "\n".join(lines) + "\n"


def _claim_block(id_: str, caption: str, claims: pd.DataFrame, titles: dict[str, str]) -> Block:
    rows = []
    for row in claims.to_dict("records"):
        unit = UNITS[row["reading"]]
        absent = row["verdict"] == NOT_APPLICABLE
        measured = NOT_APPLICABLE if absent else decimal(row["measured"], sign=True) + unit
        rows.append(
            (
                Cell(row["task"]),
                Cell(row["reading"]),
                Cell(titles.get(row["reference"], NOT_APPLICABLE)),
                Cell(decimal(row["claimed"], sign=True) + unit, sort=row["claimed"]),
                Cell(measured, sort=finite(row["measured"])),
                Cell(NOT_APPLICABLE if absent else interval(row["low"], row["high"]), sort=finite(row["low"])),
                Cell(row["verdict"], css="prose"),
            )
        )
    columns = [*words("R@1 in", "reading", "gain over"), *numbers("claimed", "measured", "95 %"), *words("verdict")]
    return table_block(id_, caption, columns, rows)


def _published_block(id_: str, dataset: str, verdicts: pd.DataFrame, titles: dict[str, str]) -> Block:
    rows = []
    # under either of our protocols a method may meet the same published row: each time is a row of its own
    time = verdicts.groupby(["method", "line", "metric"]).cumcount()
    for _, own in verdicts.groupby(["method", "line", time], sort=False):
        first = own.iloc[0]
        inputs = [first["text"], first["visual"], ENSEMBLE_WORDS.get(first["ensemble"], "ensemble?")]
        cells = [
            Cell(titles[first["method"]]),
            Cell(first["published"], f"({PROTOCOL_WORDS[first['protocol']]}; {', '.join(inputs)})", css="prose"),
            Cell(
                first["verdict"],
                f"({first['reason'] or first['notes']})",
                css=f"reason {CSS.get(first['verdict'], '')}",
            ),
        ]
        cells += [_metric_cell(row) for row in own.set_index("metric").loc[list(KEY_METRICS)].to_dict("records")]
        rows.append((*cells, Cell(f"{first['seeds']}", sort=float(first["seeds"]))))
    columns = [*words("method", "published as", "verdict"), *metric_columns(KEY_METRICS), *numbers("seeds")]
    caption = f"{dataset}: ours / published, their difference, and its tolerance where the two are comparable"
    return table_block(id_, caption, columns, rows)


def _metric_cell(row: dict[Any, Any]) -> Cell:
    """Our mean and the published value of one metric, their difference and its tolerance."""
    tolerance = "" if finite(row["tolerance"]) is None else f" (± {decimal(row['tolerance'])})"
    difference = "" if finite(row["difference"]) is None else decimal(row["difference"], sign=True) + tolerance
    both = f"{decimal(row['own'])} / {decimal(row['published_value'])}"
    return Cell(both, difference, finite(row["difference"]), CSS.get(row["metric_verdict"] or "", ""))
