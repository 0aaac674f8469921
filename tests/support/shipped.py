"""The configurations in config/ as the workflow would read them: laid over config.yaml in order."""

from __future__ import annotations

from typing import Any

import yaml

from lgsf.config.file import Config
from lgsf.system.settings import deep_merge
from tests.conftest import REPOSITORY


def shipped(*names: str, **changes: Any) -> Config:
    """`config/config.yaml` under the files `names`, under `changes`."""
    merged: dict[str, Any] = {}
    for name in ("config", *names):
        merged = deep_merge(merged, yaml.safe_load((REPOSITORY / "config" / f"{name}.yaml").read_text()))
    return Config.parse(deep_merge(merged, changes))
