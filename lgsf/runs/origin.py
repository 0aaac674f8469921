"""What the files of a run were made from, so that none of another training, seed or dataset is taken for its own.

`run.json` names the sha256 of the files that were there when it was written (`files`): weights, log, words and, where
a run has no weights of its own, its ranks. What is written later - the ranks of a trained run - says which weights
and data it was made from (`made_from`). Whoever reads a file of a run through this module has that checked.
Runs of older versions say neither; they are read, and `lgsf verify` reports what nothing vouches for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lgsf.runs.names import EVALUATE_AGAIN, TRAIN_AGAIN
from lgsf.runs.record import FILE, RunRecord, read_record
from lgsf.system.errors import LgsfError
from lgsf.system.faults import reason
from lgsf.system.files import read_arrays, write_arrays
from lgsf.system.hashes import sha256

MADE_FROM = "made_from"
WEIGHTS = "model.safetensors"
EVALUATED = ("ranks.npz", "top.npz", "relevance.npz")


def digests(run: Path, names: Iterable[str]) -> dict[str, str]:
    """Name -> sha256 of those of the files that are there, for the record's `files`."""
    return {name: sha256(run / name) for name in names if (run / name).is_file()}


def evaluated_files(run: Path, splits: Iterable[str]) -> dict[str, str]:
    """The same of what an evaluation has written, for a run whose record comes last."""
    return digests(run, [f"{split}/{name}" for split in splits for name in EVALUATED])


def check_file(run: Path, record: RunRecord, name: str) -> str:
    """The sha256 of a file of the run; LgsfError where the record names another, or the file is absent."""
    try:
        found = sha256(run / name)
    except FileNotFoundError:
        raise LgsfError(f"{run / name} is missing: {TRAIN_AGAIN}.") from None
    except OSError as error:
        raise LgsfError(f"{run / name} cannot be read ({reason(error)}): {TRAIN_AGAIN}.") from None
    if record.files.get(name, found) != found:
        raise LgsfError(
            f"{run / name} is not the file that {FILE} beside it names: it was changed or damaged, or belongs to another "
            f"run; {TRAIN_AGAIN}."
        )
    return found


def write_evaluated(path: Path, arrays: Mapping[str, npt.NDArray[Any]], made_from: Mapping[str, Any]) -> None:
    """Atomic .npz of an evaluated split that says what it was made from."""
    write_arrays(path, {**arrays, MADE_FROM: np.array(json.dumps(dict(made_from), sort_keys=True))})


def read_evaluated(folder: Path, name: str) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a file in `folder`, `<run>/<split>`; LgsfError where it is broken or not of this run."""
    return own_arrays(folder, name, read_arrays(folder / name, hint=EVALUATE_AGAIN))


def own_arrays(folder: Path, name: str, arrays: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """`arrays`, as they were read from a file, without their origin; LgsfError where they are not of this run."""
    made_from = parse_origin(folder / name, arrays.pop(MADE_FROM, None))
    if (folder.parent / FILE).is_file():
        check_origin(folder, name, read_record(folder.parent), made_from)
    return arrays


def parse_origin(path: Path, stored: npt.NDArray[Any] | None) -> dict[str, Any]:
    """What a file says it was made from; {} for one of an older version."""
    try:
        made_from = {} if stored is None else json.loads(str(stored))
        if isinstance(made_from, dict):
            return made_from
    except ValueError:
        pass
    raise LgsfError(f"{path} does not say in JSON what it was made from: {EVALUATE_AGAIN}.")


def check_origin(folder: Path, name: str, record: RunRecord, made_from: Mapping[str, Any]) -> bool:
    """LgsfError if a file of a split is not what the record vouches for; whether the record says anything of it."""
    inside = f"{folder.name}/{name}"
    if inside in record.files:
        if sha256(folder / name) != record.files[inside]:
            raise _foreign(folder / name, "is not the file that run.json names")
        return True
    wanted = {"split": folder.name, "dataset": record.dataset_sha256}
    if record.files:
        if WEIGHTS not in record.files or not made_from:
            raise _foreign(folder / name, "is not one that run.json vouches for")
        wanted["weights"] = record.files[WEIGHTS]
    for what, digest in wanted.items():
        if made_from and made_from.get(what) != digest:
            raise _foreign(folder / name, f"was made from another {what} than run.json names")
    return bool(record.files)


def _foreign(path: Path, what: str) -> LgsfError:
    return LgsfError(
        f"{path} {what}: it was left by an earlier training, belongs to another run, or was changed; {EVALUATE_AGAIN}."
    )
