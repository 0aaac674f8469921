"""Files that are either whole or absent: write beside, flush to disk, rename."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from lgsf.system.errors import LgsfError


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in place in one step.

    A kill or a full disk at any moment leaves the old file, or none; never half of one.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise LgsfError(
            f"{path} could not be written ({error.strerror or error}); what was there before is untouched: "
            "free space or mend the permissions and run the same command again."
        ) from error
    finally:
        if temporary.is_file():
            temporary.unlink()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Atomic UTF-8 text."""
    write_atomically(path, lambda file: file.write(text.encode("utf-8")))


def write_json(path: Path, value: Any) -> None:
    """Atomic JSON, readable and with sorted keys."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def write_arrays(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Atomic compressed .npz of plain arrays; equal arrays give equal bytes."""
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise TypeError(f"{name} holds Python objects")
    write_atomically(path, lambda file: np.savez_compressed(file, allow_pickle=False, **dict(arrays)))


def read_json(path: Path, *, hint: str) -> Any:
    """Parsed JSON; a missing or broken file is an LgsfError that ends with `hint`."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LgsfError(f"{path} is missing: {hint}.") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise LgsfError(f"{path} is not valid JSON ({error}): {hint}.") from None


def read_arrays(path: Path, *, hint: str) -> dict[str, npt.NDArray[Any]]:
    """All arrays of an .npz file; a missing or broken file is an LgsfError that ends with `hint`."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise LgsfError(f"{path} is missing: {hint}.") from None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise LgsfError(f"{path} is not a readable .npz file ({error}): {hint}.") from None
