"""How a verb of the command line is declared: a decorated function, its options, and their types."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lgsf.system.errors import LgsfError
from lgsf.system.given import given_path

Arguments = argparse.Namespace
Function = Callable[[Arguments], None]
Option = dict[str, Any]


@dataclass(frozen=True)
class Verb:
    """A verb as the parser needs it; `on_device` says that it may use a GPU, `example` is a command line without `lgsf`."""

    function: Function
    help: str
    example: str
    options: dict[str, Option]
    on_device: bool


VERBS: dict[str, Verb] = {}


def verb(help_: str, example: str, /, *, on_device: bool = False, **options: Option) -> Callable[[Function], Function]:
    """Make a function a verb of its own name; options are those of `add_argument`, required without a default.

    example  what one writes behind `lgsf VERB`
    """

    def register(function: Function) -> Function:
        name = function.__name__.rstrip("_").replace("_", "-")
        VERBS[name] = Verb(function, help_, f"{name} {example}", options, on_device)
        return function

    return register


def option(**settings: Any) -> Option:
    """An option that must be given unless it has a default."""
    return {"required": "default" not in settings, **settings}


def argument(**settings: Any) -> Option:
    """What stands on the command line by itself, without the name of an option before it."""
    return settings


def whole(low: int, high: int) -> Callable[[str], int]:
    """The type of an option that is a whole number between two others."""

    def read(text: str) -> int:
        if not re.fullmatch("[0-9]{1,18}", text) or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"a whole number from {low} to {high} is needed, not {text[:40]!r}")
        return int(text)

    return read


def path_or_none(text: str) -> Path | None:
    """A path, or nothing: the workflow hands over what it has."""
    return path(text) if text else None


def path(text: str) -> Path:
    """A path as the parser reads it."""
    try:
        return given_path(text)
    except LgsfError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
