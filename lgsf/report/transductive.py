"""The transductive diagnostic for readers: its own table, its own section and page, each under a warning stamp."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lgsf.config.experiment import Experiment
from lgsf.metrics.names import HEADLINE
from lgsf.render.block import Block, Cell, metric_columns, numbers, table_block, words
from lgsf.render.numbers import PROTOCOL_LABELS, decimal, listing, mean_sd
from lgsf.report.environment import environment
from lgsf.runs.diagnosis import diagnosis_table, read_diagnoses
from lgsf.system.errors import LgsfError
from lgsf.system.files import write_text
from lgsf.system.version import __version__

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


@dataclass(frozen=True)
class TransductivePart:
    """The section about one dataset: one table per protocol, and what to know of the batches."""

    name: str
    warning: str
    tables: list[Block]
    notes: list[str]


def transductive_part(experiment: Experiment, results: Path, dataset: str) -> TransductivePart | None:
    """The section of one dataset, or None where no diagnosis was made."""
    table = diagnosis_table(read_diagnoses(experiment, results, dataset))
    if table.empty:
        return None
    titles = {method.name: method.title for method in experiment.methods}
    blocks = [
        _block(f"{dataset}-transductive-{protocol}", f"Transductive on {dataset}, {PROTOCOL_LABELS[str(protocol)]}",
               rows, titles)
        for protocol, rows in table.groupby("protocol", sort=False)
    ]  # fmt: skip
    return TransductivePart(dataset, WARNING, blocks, _notes(table, titles))


def write_transductive(experiment: Experiment, *, results: Path, out: Path) -> Path:
    """Write index.html and runs.csv of all diagnoses into `out`; returns the path of the page.

    Raises LgsfError where there is none.
    """
    parts = [part for name in experiment.datasets if (part := transductive_part(experiment, results, name))]
    if not parts:
        raise LgsfError(
            f"no run under {results} has a transductive diagnosis of its weights: it needs LGSF with an interaction."
        )
    tables = [diagnosis_table(read_diagnoses(experiment, results, name)) for name in experiment.datasets]
    context = {"title": experiment.title or experiment.experiment, "parts": parts, "version": __version__}
    files = {
        "runs.csv": pd.concat(tables).to_csv(index=False),
        "index.html": environment(escape=True).get_template("transductive_page.html.j2").render(context),
    }
    for name, text in files.items():
        write_text(out / name, text)
    return out / "index.html"


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
