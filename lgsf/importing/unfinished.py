"""A mark in the folder of a run that is being imported, by which the same command knows its own unfinished work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lgsf.runs.record import FILE
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_object, write_json
from lgsf.system.locks import run_lock

MARK = ".importing.json"


@contextmanager
def importing(run: Path, **identity: str) -> Iterator[None]:
    """Hold the run's folder, and leave a mark with `identity` in it if the import does not end.

    Raises LgsfError where another process works in the folder.
    """
    with run_lock(run) as held:
        write_json(run / MARK, identity)
        yield
        held.check()
        (run / MARK).unlink(missing_ok=True)


def is_free(run: Path, identity: Mapping[str, str]) -> bool:
    """Whether a folder without a record is empty, or holds what an import of this identity left when it was stopped."""
    if not run.exists():
        return True
    if not run.is_dir() or (run / FILE).is_file():
        return False
    if not any(entry.suffix != ".tmp" for entry in run.iterdir()):
        return True
    try:
        return read_object(run / MARK, hint="") == dict(identity)
    except LgsfError:
        return False
