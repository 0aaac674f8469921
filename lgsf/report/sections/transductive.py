"""The transductive diagnostic under its warning stamp: what stands in no comparison."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from lgsf.config.experiment import Experiment
from lgsf.metrics.names import HEADLINE
from lgsf.render.block import Block, Cell, metric_columns, numbers, table_block, words
from lgsf.render.flow import Item, Paragraph
from lgsf.render.numbers import PROTOCOL_LABELS, decimal, listing, mean_sd
from lgsf.report.collected import Collected
from lgsf.report.section import Section
from lgsf.runs.beside.diagnosis import diagnosis_table, read_diagnoses

WARNING = (
    "Transductive: not comparable. Here a score depends on which other test queries share its batch. These are no "
    "results of the method, they stand in no other table, and they must not be held against anybody's numbers."
)
MODES = {
    "off": "off: every sample by itself",
    "file": "batches in file order",
    "shuffled": "batches of shuffled captions",
    "one_per_image": "batches with one caption per image",
}
MEANING = (
    "The interaction between the samples of a batch serves training alone. This is what would come out if it were applied "
    "to the test split as well: with batches in the order of the file, where captions of one image stand side by side; with "
    "shuffled captions; and with no two captions of an image in one batch. What file order gains and shuffling loses is due "
    "to the order of the file."
)


def section(found: Collected, dataset: str) -> Section | None:
    return diagnosed(found.experiment, found.results, dataset)


def diagnosed(experiment: Experiment, results: Path, dataset: str) -> Section | None:
    """The section of one dataset, a table per protocol, or None where no diagnosis was made."""
    table = diagnosis_table(read_diagnoses(experiment, results, dataset))
    if table.empty:
        return None
    titles = {method.name: method.title for method in experiment.methods}
    items: list[Item] = [Paragraph(WARNING, css="stamp"), Paragraph(MEANING, page_only=True)]
    for protocol, rows in table.groupby("protocol", sort=False):
        caption = f"Transductive on {dataset}, {PROTOCOL_LABELS[str(protocol)]}"
        items.append(_block(f"{dataset}-transductive-{protocol}", caption, rows, titles))
    items += [Paragraph(note, css="note") for note in _notes(table, titles)]
    return Section(f"{dataset}-transductive", f"Transductive diagnostic on {dataset}", items=tuple(items))


def _block(id_: str, caption: str, table: pd.DataFrame, titles: Mapping[str, str]) -> Block:
    """Method and mode x metric: mean ± SD over seeds, and behind it the difference to "off" of the same weights."""
    rows = []
    for (method, mode), own in table.groupby(["method", "eval_interaction"], sort=False):
        cells = [Cell(titles[str(method)]), Cell(MODES[str(mode)])]
        for metric in HEADLINE:
            change = own[f"delta_{metric}"]
            spread = "" if pd.isna(change.std()) else f" ± {decimal(change.std())}"
            minor = "" if mode == "off" else f"({decimal(change.mean(), sign=True)}{spread})"
            cells.append(Cell(mean_sd(own[metric].mean(), own[metric].std()), minor, float(own[metric].mean())))
        rows.append((*cells, Cell(str(len(own)), sort=float(len(own)))))
    columns = [*words("method", "interaction in evaluation"), *metric_columns(HEADLINE), *numbers("seeds")]
    note = "Mean ± SD over seeds; in brackets the difference to “off” with the same weights."
    return table_block(id_, caption, columns, rows, note)


def _notes(table: pd.DataFrame, titles: Mapping[str, str]) -> list[str]:
    sizes = listing([str(size) for size in sorted(set(table["batch_size"]))])
    notes = [f"Batches of {sizes} captions with their images."]
    runs = table.drop_duplicates(["method", "seed"])
    untrained = [
        f"{titles[str(row['method'])]}, seed {row['seed']}"
        for row in runs[runs["interaction_steps"] == 0].to_dict("records")
    ]
    if untrained:
        notes.append(
            f"The interaction had learned nothing by the best epoch of {listing(untrained)}: "
            "these rows apply a layer as it was initialised."
        )
    return notes
