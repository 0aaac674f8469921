"""Parquet tables: written whole, sealed, and with what they were made from; read with the seal checked."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from lgsf.system.artefacts.seal import BLANK, KEY, sealed
from lgsf.system.errors import LgsfError
from lgsf.system.files import check_seal, read_bytes, require_seal, write_bytes

MADE_FROM = b"lgsf_made_from"


@dataclass(frozen=True)
class Table:
    """A table, its seal (None without one), and the seals or checksums of what it was made from, by name."""

    frame: pd.DataFrame
    seal: str | None
    made_from: Mapping[str, str]


def write_table(path: Path, frame: pd.DataFrame, made_from: Mapping[str, str]) -> str:
    """Atomic Parquet; equal tables of equal origin give equal bytes. Returns the seal."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    about = {MADE_FROM: json.dumps(dict(made_from), sort_keys=True).encode(), KEY.encode(): BLANK}
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({**(table.schema.metadata or {}), **about}), buffer)
    data = sealed(buffer.getvalue())
    write_bytes(path, data)
    return str(check_seal(path, data, hint=""))


def read_table(path: Path, *, hint: str) -> Table:
    """A table; a missing or broken file is an LgsfError that ends with `hint`."""
    data = read_bytes(path, hint=hint)
    seal = check_seal(path, data, hint=hint)
    try:
        table = pq.read_table(io.BytesIO(data))
        frame = table.to_pandas()
        about = table.schema.metadata or {}
        made_from = json.loads(about.get(MADE_FROM, b"{}"))
        found = Table(frame, seal, {str(name): str(digest) for name, digest in made_from.items()})
    except Exception as error:  # Arrow and pandas name damage by many exceptions
        text = (str(error) or type(error).__name__).partition("\n")[0][:160]
        raise LgsfError(f"{path} is not a readable Parquet file ({text}): {hint}.") from None
    if KEY.encode() in about:
        require_seal(path, data, hint=hint)
    return found
