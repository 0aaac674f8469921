"""`lgsf fetch`: one download of the configuration, checked and unpacked, with a record of what it was."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lgsf.fetch.archive import unpack
from lgsf.fetch.download import download
from lgsf.fetch.http import Patience
from lgsf.fetch.settings import Download
from lgsf.system.errors import LgsfError
from lgsf.system.files import write_json
from lgsf.system.settings import explain, plain_dicts


def fetch(
    settings: Mapping[str, Any], *, name: str, out: Path, offline: bool = False, patience: Patience | None = None
) -> None:
    """Have the file of `settings` (lgsf.fetch.settings.Download) in its place, unpack it, write the record `out`.

    What is there already is compared with its checksum and not fetched again.
    """
    try:
        wanted = Download.model_validate(plain_dicts(settings))
    except ValidationError as error:
        raise LgsfError(f"downloads.{name}: {explain(error)}") from None
    download(wanted, offline=offline, patience=patience)
    files = None if wanted.unpack is None else unpack(Path(wanted.path), wanted.unpack, sha256=wanted.sha256)
    record = {
        "schema_version": 1, "name": name, "path": wanted.path, "sha256": wanted.sha256, "bytes": wanted.bytes,
        "licence": wanted.licence, "unpacked": None if wanted.unpack is None else wanted.unpack.folder, "files": files,
    }  # fmt: skip
    write_json(out, record)
