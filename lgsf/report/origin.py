"""`made_from.json` of a report: the checksums of its pages, and the seals of the tables they were made from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from lgsf.system.errors import LgsfError
from lgsf.system.files import read_object, write_json
from lgsf.system.settings import explain
from lgsf.tables.files import seals

FILE = "made_from.json"
AGAIN = "run the report step again"


class ReportOrigin(BaseModel):
    """pages: file -> sha256;  tables: Parquet file -> its seal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1]
    pages: dict[str, str]
    tables: dict[str, str]


def write_origin(out: Path, pages: Mapping[str, str | bytes], tables: Path) -> None:
    """Say what the pages (file -> content) in `out` were made from."""
    origin = ReportOrigin(
        schema_version=1,
        pages={name: _digest(content) for name, content in pages.items()},
        tables=seals(tables, *sorted(path.name for path in tables.glob("*.parquet"))),
    )
    write_json(out / FILE, origin.model_dump(mode="json"))


def _digest(content: str | bytes) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def read_origin(report: Path) -> ReportOrigin:
    """What `write_origin` left; LgsfError where it is missing or broken."""
    try:
        return ReportOrigin.model_validate(read_object(report / FILE, hint=AGAIN))
    except ValidationError as error:
        raise LgsfError(f"{report / FILE}: {explain(error).removesuffix('.')}: {AGAIN}.") from None
