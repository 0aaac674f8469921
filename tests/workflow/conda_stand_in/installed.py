"""Install exact pins, and what they depend on, from the packages of the running Python by hard links.

Nothing else of the running Python gets in, so an environment that works proves that its pins suffice.
"""

from __future__ import annotations

import os
import shutil
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def link_into(pins: list[str], prefix: Path) -> None:
    """Put the closure of `pins` into the environment `prefix`; a pin of another version ends the program."""
    site = next(prefix.glob("lib/python*/site-packages"))
    for name in closure(pins):
        for file in metadata.files(name) or []:
            if not str(file).startswith(".."):  # scripts stay out: the rules call modules
                target = site / file
                target.parent.mkdir(parents=True, exist_ok=True)
                _link(Path(str(file.locate())), target)


def closure(pins: list[str]) -> set[str]:
    """Canonical names of the pinned packages and everything they need here."""
    waiting = [Requirement(pin) for pin in pins]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        if not requirement.specifier.contains(metadata.version(requirement.name), prereleases=True):
            sys.exit(f"{requirement} is wanted, {metadata.version(requirement.name)} is installed: run `make setup`")
        for line in metadata.requires(requirement.name) or []:
            needed = Requirement(line)
            extras = ["", *requirement.extras]
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(needed)
    return {name for name, _ in seen}


def _link(source: Path, target: Path) -> None:
    if not source.exists():  # byte code that is listed but was never written
        return
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)
