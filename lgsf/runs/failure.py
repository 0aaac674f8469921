"""`failure.json`: why a trainer gave up; a training that starts again forgets it."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from lgsf.runs.names import TRAIN_AGAIN
from lgsf.runs.record import Facts
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_object, write_json
from lgsf.system.settings import explain

FILE = "failure.json"


class Failure(Facts):
    """Why and in which epoch."""

    reason: str
    epoch: int | None = None
    when: str = ""


def write_failure(folder: Path, failure: Failure) -> None:
    """Say in the run's folder why it has no weights."""
    write_json(folder / FILE, failure.model_dump(mode="json"))


def forget_failure(folder: Path) -> None:
    """Remove what an earlier attempt left."""
    (folder / FILE).unlink(missing_ok=True)


def read_failure(folder: Path) -> Failure | None:
    """What a trainer left when it gave up, or None."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        return Failure.model_validate(read_object(path, hint=TRAIN_AGAIN))
    except ValidationError as error:
        raise LgsfError(f"{path}: {explain(error)}") from None
