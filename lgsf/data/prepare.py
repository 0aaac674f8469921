"""One entry for every source of data: settings in, dataset on disk out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from lgsf.config.base import explain
from lgsf.config.datasets import DatasetSettings, PrecompSource, ScenesSource
from lgsf.system.errors import LgsfError


def prepare(settings: Mapping[str, Any], *, name: str, root: Path) -> None:
    """Write the dataset `name` into `root`; a failure leaves nothing new there."""
    try:
        source: ScenesSource | PrecompSource = TypeAdapter(DatasetSettings).validate_python(dict(settings))
    except ValidationError as error:
        raise LgsfError(f"datasets.{name}: {explain(error)}") from None
    if isinstance(source, ScenesSource):
        from lgsf.data.scenes.prepare import prepare_scenes

        prepare_scenes(source, name=name, root=root)
    else:
        from lgsf.data.precomp.prepare import prepare_precomp

        prepare_precomp(source, name=name, root=root)
