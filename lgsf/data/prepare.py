"""One entry for every source of data: settings in, dataset on disk out."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lgsf.data.settings import parse_source
from lgsf.system.errors import LgsfError
from lgsf.system.names import check_name
from lgsf.system.settings import explain


def prepare(settings: Mapping[str, Any], *, name: str, root: Path) -> None:
    """Write the dataset `name` into `root` by its source's own `prepare`; a failure leaves nothing new there."""
    check_name(name, what="--name")
    try:
        source = parse_source(settings)
    except ValidationError as error:
        raise LgsfError(f"datasets.{name}: {explain(error)}") from None
    # By name: the workflow lists this file beside one source's code, so that an edit of another repeats nothing.
    importlib.import_module(f"lgsf.data.{source.source}.prepare").prepare(source, name=name, root=root)
