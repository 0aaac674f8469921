"""log.jsonl: one line per epoch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from lgsf.runs.record import Facts
from lgsf.system.errors import LgsfError
from lgsf.system.files import write_text
from lgsf.system.settings import explain


class Epoch(Facts):
    """One line of `log.jsonl`."""

    epoch: int
    step: int
    seconds: float
    learning_rate: float
    loss: float
    grad_norm: float
    terms: dict[str, float] = Field(default_factory=dict)
    dev: dict[str, float]
    best: bool = False
    plateau: bool = False


def write_log(folder: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Write log.jsonl whole: Snakemake removes it before a run goes on. Lines hold what `Epoch` has."""
    write_text(folder / "log.jsonl", "".join(json.dumps(line) + "\n" for line in lines))


def read_log(folder: Path) -> list[Epoch]:
    """The epochs of `log.jsonl` in order; a control has none."""
    path = folder / "log.jsonl"
    if not path.is_file():
        return []
    epochs = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            epochs.append(Epoch.model_validate_json(line))
        except ValidationError as error:
            raise LgsfError(f"{path}, line {number}: {explain(error)}") from None
    return epochs
