"""log.jsonl: one line per epoch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from lgsf.runs.names import TRAIN_AGAIN
from lgsf.runs.origin import check_file
from lgsf.runs.record import FILE, Facts, read_record
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_text, write_text
from lgsf.system.settings import explain

NAME = "log.jsonl"


class Epoch(Facts):
    """One line of `log.jsonl`."""

    epoch: int
    step: int
    seconds: float
    cpu_seconds: float | None = None
    learning_rate: float
    loss: float
    grad_norm: float
    terms: dict[str, float] = Field(default_factory=dict)
    dev: dict[str, float]
    best: bool = False
    plateau: bool = False


def write_log(folder: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Write log.jsonl whole: Snakemake removes it before a run goes on. Lines hold what `Epoch` has."""
    write_text(folder / NAME, "".join(json.dumps(line) + "\n" for line in lines))


def read_log(folder: Path) -> list[Epoch]:
    """The epochs of `log.jsonl` in order; a control has none.

    Raises LgsfError where the log is damaged, or not the one of which the record says how many epochs it has.
    """
    path = folder / NAME
    record = read_record(folder) if (folder / FILE).is_file() else None
    promised = 0 if record is None or record.kind != "trained" else record.dev_looks or 0
    if not path.is_file() and (record is None or NAME not in record.files):
        return []
    if record is not None:
        check_file(folder, record, NAME)
    epochs = []
    for number, line in enumerate(read_text(path, hint=TRAIN_AGAIN).splitlines(), 1):
        try:
            epochs.append(Epoch.model_validate_json(line))
        except ValidationError as error:
            raise LgsfError(f"{path}, line {number}: {explain(error)}") from None
    if promised and len(epochs) != promised:
        raise LgsfError(f"{path} has {len(epochs)} epochs and {FILE} says {promised}: {TRAIN_AGAIN}.")
    return epochs
