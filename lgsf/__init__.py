"""LGSF benchmark: reproducible image-text retrieval, from region features to a tested claim."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lgsf.system.project.version import __version__

if TYPE_CHECKING:
    from lgsf.runs.opened import load_run

__all__ = ["__version__", "load_run"]


def __getattr__(name: str) -> Any:
    # torch is imported only by those who ask for a model: the workflow's dry run must stay fast.
    if name == "load_run":
        from lgsf.runs.opened import load_run

        return load_run
    raise AttributeError(f"module 'lgsf' has no attribute {name!r}")
