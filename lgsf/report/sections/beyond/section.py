"""Whether an order of methods survives another idea of what is right."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from lgsf.render.flow import Details, Figures, Item, Paragraph
from lgsf.render.numbers import listing
from lgsf.report.collected import Collected
from lgsf.report.section import Section
from lgsf.report.sections.beyond.difficulty import alone_block, difficulty_block, found_plots
from lgsf.report.sections.beyond.galleries import galleries_block
from lgsf.report.sections.beyond.measured import coco_block, hubs_block, people_block, true_blocks

INTRODUCTION = (
    "R@K calls every candidate wrong but the one pair that the data name, although others may fit as well. What follows "
    "asks whether an order of methods survives another idea of what is right. These are sensitivity analyses: they carry no "
    "test of significance and are no headline. The gallery is the whole test split; ± is the SD over seeds."
)
TRUE = (
    "The data know every pair that is really true, so false negatives can be counted as right. R@K is then the share of "
    "queries with anything true among the first K. R-precision (R-P) is the share of a query's R true candidates that stand "
    "among its first R. mAP@R also rewards their order: the precision at each of the first R places that holds a true one, "
    "averaged over R. Ties count against the model."
)
COCO = (
    "ECCV Caption (Chun et al., 2022) adds positives that people verified, for 1,261 images and 1,332 captions of COCO's 5K "
    "test split; its headline is mAP@R. CxC (Parekh et al., 2021) adds pairs that people found similar, for all images and "
    "24,972 captions. Both rate candidates that earlier models proposed, so both can favour methods like those."
)
PEOPLE = (
    "Kendall's τb between a model's scores and what people said of the same pairs: 1 is the same order, 0 no relation. An "
    "image's own captions are left out: R@K asks about those already. The interval resamples images with all their pairs "
    "and is the mean of the seeds' intervals; grades have few levels, so 1 is out of reach."
)
HUBS = (
    "Some candidates stand among the first ten of far too many queries. The skewness of that count measures it: 0 is even, "
    "larger means stronger hubs. “Never found” is the share of candidates that no query has among its first ten. A "
    "diagnostic: neither is better or worse by itself, and both depend on the size of the gallery. Equal scores are ordered "
    "by row, so the oracle's number means nothing."
)
GALLERIES = (
    "R@K falls as the gallery grows. The same ranks are counted here inside the folds and in the whole test split, side by "
    "side; a number of one kind must never be held against one of the other."
)
DIFFICULTY = "Queries that every run finds, and those that none does, tell methods apart in no way. Only the rest does."
HEIGHT = (
    "Height at m: percent of queries that at least m of the runs find, at the first place and among the first ten "
    "places. A flat line means that all runs find the same queries."
)
ALONE = (
    "Counted are the queries that at least one seed of a method finds and no run of another method does. A method "
    "with near twins among the others, such as an ablation, has few."
)
LABELS = {"true": "exact relevance", "eccv": "ECCV Caption", "cxc": "CxC", "hubs": "hubs"}


def section(found: Collected, dataset: str) -> Section:
    title = found.titled("Beyond R@K", dataset)
    return Section(f"{dataset}-beyond", title, nav="Beyond R@K", items=tuple(_items(found, dataset)))


def _items(found: Collected, dataset: str) -> Iterator[Item]:
    """Runs are those of the first protocol: what is measured here does not depend on it."""
    table = found.beyond[found.beyond["dataset"] == dataset]
    runs = found.of(found.runs, dataset, found.protocols(dataset)[0])
    yield Paragraph(INTRODUCTION)
    if true := true_blocks(dataset, table, runs):
        yield Details("Exact relevance: what if everything that is true counts as right?", (Paragraph(TRUE), *true))
    if coco := coco_block(dataset, table, runs):
        yield Details("ECCV Caption and CxC: pairs that people verified", (Paragraph(COCO), coco))
    if people := people_block(dataset, table, runs):
        yield Details("Agreement with people", (Paragraph(PEOPLE), people))
    if hubs := hubs_block(dataset, table, runs):
        yield Details("Hubs: candidates that stand among the first too often", (Paragraph(HUBS), hubs))
    if galleries := galleries_block(dataset, found.summary[found.summary["dataset"] == dataset]):
        yield Details("Two galleries", (Paragraph(GALLERIES, page_only=True), galleries))
    if difficulty := difficulty_block(dataset, table):
        plots = found_plots(dataset, table)
        height = (Figures(tuple(plots), listed=True), Paragraph(HEIGHT, css="note", page_only=True)) if plots else ()
        yield Details("How hard the queries are", (Paragraph(DIFFICULTY, page_only=True), difficulty, *height))
    if alone := alone_block(dataset, table, runs):
        yield Details("What one method alone finds", (Paragraph(ALONE, page_only=True), alone))
    yield from (Paragraph(sentence, css="note") for sentence in absent_sentences(table))


def absent_sentences(table: pd.DataFrame) -> list[str]:
    """Reasons, each once, with the runs where not all of them share it."""
    sentences = []
    runs = table.loc[table["seed"].notna(), ["method", "seed"]].drop_duplicates()
    for note, rows in table[table["note"] != ""].groupby("note", sort=False):
        what = listing([label for name, label in LABELS.items() if name in set(rows["what"])])
        own = rows.drop_duplicates(["method", "seed"])
        who = []
        for title, group in own.groupby("title", sort=False):
            who.append(f"{title} {'seeds' if len(group) > 1 else 'seed'} {listing([str(s) for s in group['seed']])}")
        whose = "" if len(own) == len(runs) else f" ({'; '.join(who)})"
        sentences.append(f"n/a: {what}{whose}, since {note}.")
    return sentences
