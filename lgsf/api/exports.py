"""The names of `import lgsf`, and the module that each lies in; torch waits until somebody asks for a model."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lgsf.api.comparing import Comparison as Comparison
    from lgsf.api.comparing import compare as compare
    from lgsf.api.data import OpenDataset as OpenDataset
    from lgsf.api.data import OpenSplit as OpenSplit
    from lgsf.api.data import open_dataset as open_dataset
    from lgsf.api.ranking import Ranked as Ranked
    from lgsf.api.ranking import rank as rank
    from lgsf.api.run import Run as Run
    from lgsf.api.run import load_run as load_run
    from lgsf.system.errors import LgsfError as LgsfError

WHERE = {
    "Comparison": "lgsf.api.comparing",
    "LgsfError": "lgsf.system.errors",
    "OpenDataset": "lgsf.api.data",
    "OpenSplit": "lgsf.api.data",
    "Ranked": "lgsf.api.ranking",
    "Run": "lgsf.api.run",
    "compare": "lgsf.api.comparing",
    "load_run": "lgsf.api.run",
    "open_dataset": "lgsf.api.data",
    "rank": "lgsf.api.ranking",
}
__all__ = [
    "Comparison",
    "LgsfError",
    "OpenDataset",
    "OpenSplit",
    "Ranked",
    "Run",
    "compare",
    "load_run",
    "open_dataset",
    "rank",
]  # a plain list, as type checkers want it; a test holds it to WHERE


def find(name: str) -> Any:
    """The object that `lgsf.<name>` means; AttributeError for any other name, as of a module."""
    if name == "__all__":
        return ["__version__", *__all__]
    if name not in WHERE:
        raise AttributeError(f"module 'lgsf' has no attribute {name!r}")
    return getattr(importlib.import_module(WHERE[name]), name)
