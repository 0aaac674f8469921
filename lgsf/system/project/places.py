"""Where the project's own code and files lie, in a checkout or in an installed package; standard library alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from lgsf.system.errors import LgsfError
from lgsf.system.project.closure import ROOT, Closures, require

PACKAGE = ROOT / "lgsf"
PACKAGES = {"lgsf": ROOT, "baselines": ROOT}
SHIPPED = PACKAGE / "shipped"  # the workflow, its default configuration and the hand-kept tables


def closures() -> Closures:
    """Of the project's own modules, and of a user's, which lie in the working directory."""
    return Closures(Path.cwd(), PACKAGES)


def code(*modules: str) -> list[Path]:
    """Files that `modules` run on: the project's own, and a user's."""
    return closures().sources(*modules)


def check_models(models: Mapping[str, str], *, source: str = "the configuration") -> None:
    """LgsfError, beginning with `source`, where the class of a method (a key of `models`) is not where it should be.

    Classes of the project and of the working directory are looked for, as text; torch is not imported.
    """
    for method, model in models.items():
        module, _, name = model.partition(":")
        try:
            file = require(module, root=Path.cwd(), elsewhere=PACKAGES)
        except LgsfError as error:
            raise LgsfError(f"{source}: methods.{method}.model: {error}") from None
        if file is not None and not re.search(rf"\b{name}\b", file.read_text(encoding="utf-8")):
            raise LgsfError(f"{source}: methods.{method}.model: {file} has no class {name!r}; check its spelling.")


def near(path: Path) -> Path:
    """`path` as seen from the working directory where it lies below it, absolute elsewhere."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def own_or_shipped(name: str) -> Path:
    """The file `name` of the working directory or, where it is absent, the one that comes with the project."""
    return Path(name) if Path(name).is_file() else near((SHIPPED / name).resolve())
