"""The summary table as Markdown, for people who read a terminal or a repository page."""

from __future__ import annotations

import html
import re

import pandas as pd

from lgsf.blocks import Block
from lgsf.experiment import Experiment
from lgsf.formatting import HEADLINE, LOOKS, NOTHING, PROTOCOL_LABELS, RULE, kind_mark, looks, mean_sd, metric_label
from lgsf.inputs import INPUTS, printed_inputs

_MARKUP = re.compile(r"([\\`*_{}\[\]|~#])")


def markdown_text(text: object) -> str:
    """Free text that Markdown shows literally, on one line: no HTML, table cell or emphasis comes of it."""
    one_line = " ".join(str(text).split())
    return _MARKUP.sub(r"\\\1", html.escape(one_line, quote=False))


def markdown(experiment: Experiment, summary: pd.DataFrame) -> str:
    """`summary.md`: per dataset and protocol one table of mean ± SD over seeds, and how many there were."""
    lines = [
        f"# {markdown_text(experiment.title or experiment.experiment)}",
        "",
        f"Mean ± SD over seeds. {RULE} {LOOKS}",
    ]
    for (dataset, protocol), group in summary.groupby(["dataset", "protocol"], sort=False):
        lines += ["", f"## {markdown_text(dataset)}: {PROTOCOL_LABELS[str(protocol)]}", ""]
        twins = [m for m in dict.fromkeys(group["metric"]) if str(m).startswith("twin_")]
        lines += markdown_table(group, [*HEADLINE, *map(str, twins)])
    return "\n".join(lines) + "\n"


def markdown_table(group: pd.DataFrame, metrics: list[str]) -> list[str]:
    """One dataset and protocol as lines of a Markdown table, methods in the order of `group`, and its inputs."""
    inputs = printed_inputs(group)
    names = ["method", *(INPUTS[name] for name in inputs.columns), *map(metric_label, metrics), "dev looks", "seeds"]
    lines = [
        f"| {' | '.join(names)} |",
        "|---|" + "---|" * len(inputs.columns) + "---:|" * (len(metrics) + 2),
    ]
    for _, rows in group.groupby("method", sort=False):
        cells = {m: mean_sd(mean, sd) for m, mean, sd in zip(rows["metric"], rows["mean"], rows["sd"], strict=True)}
        first = rows.iloc[0]
        name = markdown_text(first["title"]) + (f" ({mark})" if (mark := kind_mark(first["kind"])) else "")
        counted = f"{first['n']}/{first['expected']}" + ("" if first["complete"] else " incomplete")
        told = [markdown_text(first[column]) or NOTHING for column in inputs.columns]
        scores = [cells.get(m, NOTHING) for m in metrics]
        lines.append(f"| {' | '.join([name, *told, *scores, looks(first['dev_looks']), counted])} |")
    return [*lines, "", markdown_text(inputs.note)] if inputs.note else lines


def block_lines(block: Block) -> list[str]:
    """A table of the report as Markdown: caption, head, rows, and its note."""
    lines = [markdown_text(block.caption), "", f"| {' | '.join(map(markdown_text, block.columns))} |"]
    lines.append("|" + "".join("---:|" if number else "---|" for number in block.numeric))
    for row in block.rows:
        lines.append(f"| {' | '.join(markdown_text(f'{cell.text} {cell.minor}') for cell in row)} |")
    return [*lines, "", markdown_text(block.note)] if block.note else lines
