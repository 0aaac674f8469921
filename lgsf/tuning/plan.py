"""The plan of one method's tuning: its settings, ranges and budget, checked before any trial runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from lgsf.config.run_settings import RunSettings
from lgsf.config.tuning import SECTIONS, Budget, Range, leaves, with_value
from lgsf.models.build import check_settings
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_json, write_json
from lgsf.system.settings import Name, Settings, explain
from lgsf.tuning.propose import contains, ends, show


class Plan(Settings):
    """`plan.json`: all that the trials of one method on one dataset depend on.

    settings  of the method as configured, defaults filled in;  lineage  the method and what it extends
    ranges    path -> range, of which `shared` are those that every method has
    """

    settings: RunSettings
    lineage: tuple[Name, ...] = Field(min_length=1)
    budget: Budget
    shared: tuple[str, ...]
    ranges: dict[str, Range] = Field(min_length=1)

    @property
    def configured(self) -> dict[str, Any]:
        """The tuned settings as they are without tuning: path -> value."""
        found = tunable(self.settings)
        return {path: found[path] for path in self.ranges}


def parse_plan(raw: Any, *, source: str) -> Plan:
    """A plan from parsed JSON, every range tried on the method's own class.

    Raises LgsfError for a path that the method does not have, for a value that it does not accept, and where a
    configured value lies outside its range: the first trial has the configured values.
    """
    try:
        plan = Plan.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        raise LgsfError(f"{source}: {explain(error)}") from None
    settings = check_settings(plan.settings.plain(), source=source)
    where = f"{source}: ranges of {settings.method}"
    found = tunable(settings)
    for path, range_ in plan.ranges.items():
        if path not in found:
            raise LgsfError(f"{where}: there is no setting {path!r}; {_beside(path, found)}.")
        if not contains(range_, found[path]):
            raise LgsfError(
                f"{where}: {path} is {json.dumps(found[path])}, which is not in its range {show(range_)}, and the "
                "first trial has the configured values; widen the range or change the value."
            )
        for value in ends(range_):
            check_settings(with_value(settings.plain(), path, value), source=f"{where}: {path} of {json.dumps(value)}")
    return plan.model_copy(update={"settings": settings})


def read_plan(path: Path) -> Plan:
    """A plan.json as the ranges step writes it."""
    return parse_plan(read_json(path, hint="run the ranges step first"), source=str(path))


def write_plan(raw: Any, *, out: Path) -> None:
    """Check a plan and write it with the method's defaults filled in."""
    write_json(out, parse_plan(raw, source="the configuration").model_dump(mode="json"))


def tunable(settings: RunSettings) -> dict[str, Any]:
    """Dotted path -> value of everything in a method's settings that a range may name."""
    plain = settings.plain()
    return leaves({section: plain[section] for section in SECTIONS})


def _beside(path: str, found: Mapping[str, Any]) -> str:
    """What the writer of an unknown path may have meant: the settings of the nearest place that exists."""
    parts = path.split(".")
    for length in range(len(parts) - 1, 0, -1):
        place = ".".join(parts[:length])
        if known := [name for name in found if name.startswith(place + ".")]:
            return f"known there are {', '.join(known)}"
    return f"known are {', '.join(found)}"
