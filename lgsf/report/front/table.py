"""The main table as papers print it: groups, parts as columns, best means bold, marks for what a test shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lgsf.metrics.names import HEADLINE, higher_is_better
from lgsf.render.block import (
    Block,
    Cell,
    Group,
    counted_cell,
    looks_cell,
    metric_columns,
    name_cell,
    numbers,
    said_once,
    table_block,
    value_cell,
    words,
)
from lgsf.render.numbers import NOTHING, PROTOCOL_LABELS, listing
from lgsf.report.collected import Collected
from lgsf.report.groups import ABLATIONS, PARTS, first_records, method_groups, method_parts
from lgsf.report.tested import UNTESTED, tested_rows
from lgsf.tables.inputs import INPUTS, printed_inputs, single_models
from lgsf.tables.results import MARKS
from lgsf.verdict.section import WORDS as VERDICTS

REPEATED = ("dev looks", "seeds", *INPUTS.values())


def main_block(found: Collected, dataset: str, protocol: str) -> Block:
    """Mean ± SD over seeds of every method and control, in groups."""
    summary = found.of(found.summary, dataset, protocol)
    groups = method_groups(found, dataset)
    parts = _parts(found, dataset) if any(group.label == ABLATIONS for group in groups) else {}
    inputs, verdicts = printed_inputs(summary), _verdicts(found, dataset)
    marks = _marks(found, dataset, protocol)
    best, single = best_means(summary), set(single_models(summary)["method"])
    by_method = {str(method): own for method, own in summary.groupby("method", sort=False)}
    rows = []
    for name in (name for group in groups for name in group.methods if name in by_method):
        own = by_method[name]
        first, values = own.iloc[0], own.set_index("metric")[["mean", "sd"]].to_dict("index")
        cells = [name_cell(_title(found, name, first["title"]), "" if first["kind"] == "control" else first["kind"])]
        cells += [Cell(parts.get(name, {}).get(part, ""), css="part") for part in PARTS] if parts else []
        cells += [Cell(first[column] or NOTHING) for column in inputs.columns]
        for metric in HEADLINE:
            value = values[metric]
            css = "best" if name in single and round(value["mean"], 1) == best.get(metric) else ""
            cells.append(value_cell(value["mean"], value["sd"], css=css, mark=marks.get((name, metric), "")))
        cells += [Cell(verdicts.get(name, ""), css="reason")] if verdicts else []
        rows.append([*cells, looks_cell(first["dev_looks"]), counted_cell(int(first["n"]), int(first["expected"]))])
    columns = [*words("method", *(PARTS.values() if parts else ()), *(INPUTS[name] for name in inputs.columns))]
    columns += [*metric_columns(HEADLINE), *(words("published") if verdicts else ()), *numbers("dev looks", "seeds")]
    seeds = "mean ± SD over seeds" if len(found.experiment.seeds) > 1 else "one seed"
    caption = f"Retrieval on {dataset}, {PROTOCOL_LABELS[protocol]}: {seeds}"
    block = table_block(f"{dataset}-{protocol}-results", caption, columns, rows, inputs.note)
    sizes = [Group(g.label, sum(name in by_method for name in g.methods), not g.competes) for g in groups]
    block = Block(block.id, caption, block.columns, block.rows, block.note, tuple(sizes), cards=True)
    return said_once(block, *REPEATED)


def test_words(found: Collected, dataset: str, protocol: str) -> str:
    """What † and ‡ mean here, or the one reason why there is no test."""
    reference = found.experiment.reference
    rows = tested_rows(found, dataset, protocol, reference)
    if rows.empty:
        return ""
    if (rows["finding"] == UNTESTED).all():
        return f"There is no test: {rows['note'].iloc[0]}."
    absent = list(dict.fromkeys(rows.loc[rows["finding"] == UNTESTED, "method"]))
    names = f" Not tested, for want of seeds: {listing([found.titles[str(m)] for m in absent])}." if absent else ""
    return f"† better, ‡ worse than {found.titles[reference]}: corrected p < 0.05 over seeds and images.{names}"


def published_words(found: Collected, dataset: str) -> str:
    """Where nothing stands beside published rows: that, once."""
    own = found.verdicts[found.verdicts["dataset"] == dataset]
    if own.empty:
        return "No published row can be held against these numbers."
    if (own["verdict"] == "not comparable").all():
        return "No published row is comparable with these numbers: their inputs or protocol differ."
    return ""


def best_means(summary: pd.DataFrame) -> dict[str, float]:
    """Metric -> the best mean of a single model, as printed: all that equal it are marked."""
    means = single_models(summary).groupby("metric")["mean"]
    return {
        str(metric): round(float(own.max() if higher_is_better(str(metric)) else own.min()), 1) for metric, own in means
    }


def _title(found: Collected, name: str, title: str) -> str:
    return f"{title} (reference)" if name == found.experiment.reference else title


def _parts(found: Collected, dataset: str) -> Mapping[str, Mapping[str, str]]:
    return {name: own for name, facts in first_records(found, dataset).items() if (own := method_parts(facts))}


def _marks(found: Collected, dataset: str, protocol: str) -> dict[tuple[str, str], str]:
    rows = tested_rows(found, dataset, protocol, found.experiment.reference)
    keys = zip(rows["method"], rows["metric"], strict=True)
    return {key: MARKS[finding] for key, finding in zip(keys, rows["finding"], strict=True) if finding in MARKS}


def _verdicts(found: Collected, dataset: str) -> dict[str, str]:
    """Method -> what its published rows say; {} where none of them is comparable."""
    own = found.verdicts[found.verdicts["dataset"] == dataset]
    if own.empty or (own["verdict"] == "not comparable").all():
        return {}
    return {str(method): _verdict(rows.drop_duplicates("line")) for method, rows in own.groupby("method", sort=False)}


def _verdict(rows: pd.DataFrame) -> str:
    """`reproduced`, or `1 reproduced, 2 below` where a method has several published rows."""
    counts: dict[Any, int] = rows["verdict"].value_counts().to_dict()
    if len(counts) == 1:
        return str(next(iter(counts)))
    return ", ".join(f"{counts[word]} {word}" for word in VERDICTS if word in counts)
