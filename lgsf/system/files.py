"""Text, JSON and arrays on disk: written whole and sealed; read with the seal checked, every fault one sentence."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from lgsf.system.artefacts.atomic import write_atomically as write_atomically
from lgsf.system.artefacts.seal import BLANK, KEY, BrokenSealError, seal_archive, seal_of, sealed
from lgsf.system.errors import LgsfError
from lgsf.system.faults import reason
from lgsf.system.given import UTF8_SIG


def write_bytes(path: Path, data: bytes) -> None:
    """Atomic bytes."""
    write_atomically(path, lambda file: file.write(data))


def write_text(path: Path, text: str) -> None:
    """Atomic UTF-8 text."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Atomic JSON, readable and with sorted keys; an object is sealed by its last key."""
    write_bytes(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """What `write_json` writes."""
    is_object = isinstance(value, Mapping)
    content = {key: own for key, own in value.items() if key != KEY} if is_object else value
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    if not is_object:
        return text.encode() + b"\n"
    body = text[: text.rindex("}")].rstrip()
    comma = "," if content else ""
    return sealed(f'{body}{comma}\n "{KEY}": "{BLANK.decode()}"\n}}\n'.encode())


def write_arrays(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Atomic compressed .npz of plain arrays, sealed by its comment; equal arrays give equal bytes."""
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise TypeError(f"{name} holds Python objects")
    write_atomically(path, lambda file: _write_archive(file, arrays))


def _write_archive(file: IO[bytes], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    # As np.savez_compressed, which has no level: at the first one ranks and lists take a third of the time.
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
    seal_archive(file)


def read_bytes(path: Path, *, hint: str) -> bytes:
    """All bytes of a file whose seal holds, if it has one; else an LgsfError that ends with `hint`."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise LgsfError(f"{path} is missing: {hint}.") from None
    except OSError as error:
        raise LgsfError(f"{path} cannot be read ({reason(error)}): {hint}.") from None
    check_seal(path, data, hint=hint)
    return data


def check_seal(path: Path, data: bytes, *, hint: str) -> str | None:
    """The seal of `data`, the content of `path`; None without one. LgsfError where it does not hold."""
    try:
        return seal_of(data)
    except BrokenSealError as error:
        raise LgsfError(f"{path} is not what was written there ({error}): {hint}.") from None


def require_seal(path: Path, data: bytes, *, hint: str) -> None:
    """LgsfError unless `data` are sealed: for a file that has a place for its seal, so it was damaged in that place."""
    if check_seal(path, data, hint=hint) is None:
        raise LgsfError(f"{path} is not what was written there (its seal was changed or damaged): {hint}.")


def read_text(path: Path, *, hint: str) -> str:
    """UTF-8 text; a missing or broken file is an LgsfError that ends with `hint`."""
    try:
        return read_bytes(path, hint=hint).decode(UTF8_SIG)
    except UnicodeDecodeError as error:
        raise LgsfError(f"{path} is not UTF-8 ({error}): {hint}.") from None


def read_json(path: Path, *, hint: str) -> Any:
    """Parsed JSON without its seal; a missing or broken file is an LgsfError that ends with `hint`."""
    data = read_bytes(path, hint=hint)
    try:
        value = json.loads(data.decode(UTF8_SIG))
    except (ValueError, RecursionError) as error:
        raise LgsfError(f"{path} is not valid JSON ({error}): {hint}.") from None
    if isinstance(value, dict) and value.pop(KEY, None) is not None:
        require_seal(path, data, hint=hint)
    return value


def read_object(path: Path, *, hint: str) -> dict[str, Any]:
    """`read_json` where the file must hold an object."""
    value = read_json(path, hint=hint)
    if not isinstance(value, dict):
        raise LgsfError(f"{path} holds no object but a {type(value).__name__}: {hint}.")
    return value


def read_arrays(path: Path, *, hint: str) -> dict[str, npt.NDArray[Any]]:
    """All arrays of an .npz file; a missing or broken file is an LgsfError that ends with `hint`."""
    data = read_bytes(path, hint=hint)
    arrays: dict[str, npt.NDArray[Any]] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            comment = archive.comment
            for member in archive.namelist():
                # Read to its end, or zipfile does not look at the checksum.
                content = io.BytesIO(archive.read(member))
                arrays[member.removesuffix(".npy")] = np.lib.format.read_array(content, allow_pickle=False)
    except Exception as error:  # damage shows in many ways: zlib.error, BadZipFile, SyntaxError of a header, …
        raise LgsfError(f"{path} is not a readable .npz file ({_short(error)}): {hint}.") from None
    if comment:
        require_seal(path, data, hint=hint)
    return arrays


def map_array(path: Path, *, hint: str) -> npt.NDArray[Any]:
    """The array of an .npy file that somebody brought, left on the disk; LgsfError where there is none."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise LgsfError(f"{path} is missing: check its name.") from None
    except (
        Exception
    ) as error:  # a damaged header shows in many ways: ValueError, SyntaxError, TokenError of a second try
        raise LgsfError(f"{path} is not a readable .npy array ({_short(error)}): {hint}.") from None
    if not isinstance(array, np.ndarray):
        raise LgsfError(f"{path} is an archive of arrays, and one array is wanted: {hint}.")
    return array


def _short(error: Exception) -> str:
    return (str(error) or type(error).__name__).partition("\n")[0][:160]
