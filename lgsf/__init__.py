"""LGSF benchmark: reproducible image-text retrieval, from region features to a tested claim."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lgsf.system.project.version import __version__ as __version__

if TYPE_CHECKING:
    from lgsf.api.exports import *  # noqa: F403


def __getattr__(name: str) -> Any:
    # What a notebook needs, imported when it is asked for. The list is in lgsf.api.exports and not here: every step of
    # the workflow runs this file, so that an edit of it trains everything anew.
    from lgsf.api.exports import find

    return find(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__getattr__("__all__")})
