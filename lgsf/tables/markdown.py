"""The summary table as Markdown, for people who read a terminal or a repository page."""

from __future__ import annotations

import pandas as pd

from lgsf.config.experiment import Experiment
from lgsf.metrics.names import HEADLINE, is_twin, metric_label
from lgsf.render.markdown import markdown_text
from lgsf.render.numbers import LOOKS, NOTHING, PROTOCOL_LABELS, RULE, kind_mark, looks, mean_sd
from lgsf.tables.inputs import INPUTS, printed_inputs


def markdown(experiment: Experiment, summary: pd.DataFrame) -> str:
    """`summary.md`: per dataset and protocol one table of mean ± SD over seeds, and how many there were."""
    lines = [
        f"# {markdown_text(experiment.title or experiment.experiment)}",
        "",
        f"Mean ± SD over seeds. {RULE} {LOOKS}",
    ]
    for (dataset, protocol), group in summary.groupby(["dataset", "protocol"], sort=False):
        lines += ["", f"## {markdown_text(dataset)}: {PROTOCOL_LABELS[str(protocol)]}", ""]
        twins = [m for m in dict.fromkeys(group["metric"]) if is_twin(str(m))]
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
