"""Results on one dataset: scores, differences, effects, twins, recall over K, every run, tuning, the data."""

from __future__ import annotations

from collections.abc import Iterator

from lgsf.metrics.names import is_twin
from lgsf.render.flow import Details, Figures, Heading, Item, Paragraph
from lgsf.render.numbers import LOOKS, PROTOCOL_LABELS, RULE
from lgsf.report.collected import Collected
from lgsf.report.section import Section
from lgsf.report.sections.results.data import data_block
from lgsf.report.sections.results.differences import difference_items
from lgsf.report.sections.results.every_run import every_run_block
from lgsf.report.sections.results.factorial import factorial_items
from lgsf.report.sections.results.plots import recall_items, score_plots
from lgsf.report.sections.results.tuning import tuning_items
from lgsf.tables.results import results_block

INTRODUCTION = (
    "i2t is text retrieval: an image asks for its captions. t2i is image retrieval: a caption asks for its image. R@K is "
    "the share of queries with a right answer among the first K, in percent; rSum adds the six of them, 600 at most. Ties "
    "count against the model."
)
DOTS = "Dots are seeds, the tick is their mean, the bar is mean ± SD. Controls are left out here; the table has them."
BOLD = (
    "The highest mean of a single model is bold in each column; that is no test. Controls frame the scale and are no "
    "competitors; an ensemble averages the scores of several trained models."
)
TWINS = (
    "A twin shows the same objects with attributes or relations exchanged. Accuracy is the share of pairs in which the "
    "right one scores higher than its twin; guessing gives 50 %."
)


def section(found: Collected, dataset: str) -> Section:
    title = f"Results on {dataset}"
    return Section(dataset, title, nav=title, items=tuple(_items(found, dataset)))


def _items(found: Collected, dataset: str) -> Iterator[Item]:
    protocols = found.protocols(dataset)
    yield Paragraph(INTRODUCTION, page_only=True)
    for protocol in protocols:
        yield from _scores(found, dataset, protocol)
        yield from difference_items(found, dataset, protocol)
        yield from factorial_items(found, dataset, protocol)
    runs, summary = (found.of(table, dataset, protocols[0]) for table in (found.runs, found.summary))
    if kinds := [str(metric) for metric in dict.fromkeys(summary["metric"]) if is_twin(str(metric))]:
        yield Heading("Twins")
        yield Paragraph(TWINS, page_only=True)
        yield results_block(f"{dataset}-twins", f"Twin accuracy on {dataset}, percent", summary, metrics=kinds)
    yield from recall_items(found, dataset, protocols[0])
    yield Heading("Every run")
    every = every_run_block(f"{dataset}-runs", f"Every run on {dataset}", runs)
    yield Details(f"All runs on {dataset}, seed by seed", (every,))
    yield from tuning_items(found, dataset)
    if dataset in found.data:
        yield Heading("The data")
        if doubts := [str(sentence) for sentence in found.data[dataset].get("warnings", [])]:
            yield Paragraph(f"What looks wrong with them: {' '.join(doubts)}", css="stamp")
        yield data_block(f"{dataset}-data", f"What {dataset} holds", found.data[dataset]["splits"])


def _scores(found: Collected, dataset: str, protocol: str) -> Iterator[Item]:
    label, prefix = PROTOCOL_LABELS[protocol], f"{dataset}-{protocol}"
    yield Heading(label.capitalize())
    yield Figures(tuple(score_plots(prefix, found.of(found.runs, dataset, protocol), found.subject)))
    yield Paragraph(DOTS, css="note", page_only=True)
    caption = f"Retrieval on {dataset}, {label}: mean ± SD over seeds"
    yield results_block(f"{prefix}-results", caption, found.of(found.summary, dataset, protocol))
    yield Paragraph(f"{RULE} {LOOKS}", css="note", after=BOLD)
