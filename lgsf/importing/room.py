"""Where the configuration's imports go: whose folder it is, and what an earlier import left there."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from lgsf.config.checks.replaced import COPIED, IMPORT
from lgsf.config.elsewhere.imports import ImportSettings
from lgsf.runs.record import FILE, read_record
from lgsf.system.errors import LgsfError
from lgsf.system.settings import explain

OF_TRAININGS = ("log.jsonl", "training_only.safetensors", ".resume")
LEFT = (FILE, COPIED, "log.jsonl", "test", "dev", "bert", "model.safetensors", "vocabulary.json", ".importing.json")


def parsed_import(settings: Mapping[str, Any], name: str) -> ImportSettings:
    """An entry of `imports`; LgsfError of one sentence otherwise."""
    try:
        found: ImportSettings = TypeAdapter(ImportSettings).validate_python(dict(settings))
    except ValidationError as error:
        raise LgsfError(f"imports.{name}: {explain(error)}") from None
    return found


def refuse_others(out: Path, name: str) -> None:
    """LgsfError where `out` holds a run that was trained or imported by hand, or what a training goes on from."""
    if (out / COPIED).is_file():
        return
    if (out / FILE).is_file():
        record = read_record(out)
        ours = record.kind == "imported" and (IMPORT in record.config or record.checkpoint is not None)
        what = f"the run {(record.title or record.method)!r}"
    else:
        ours = not any((out / file).exists() for file in OF_TRAININGS)
        what = "a training that is not finished"
    if not ours:
        raise LgsfError(f"{out} holds {what}: call imports.{name} otherwise, or move the folder away.")


def make_room(out: Path, name: str) -> None:
    """Remove what an earlier import of the same name left, whatever its kind was; LgsfError as `refuse_others`."""
    refuse_others(out, name)
    for left in LEFT:
        if (out / left).is_dir():
            shutil.rmtree(out / left)
        else:
            (out / left).unlink(missing_ok=True)
