"""JSON files of annotations: read without what nobody needs, and asked for their fields with errors that name the entry."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from lgsf.system.errors import LgsfError
from lgsf.system.faults import reason

REMEDY = "copy or download the file again"
Value = TypeVar("Value")
_WORDS: dict[type, str] = {int: "a whole number", str: "text", list: "a list", dict: "an object"}


def load_json(path: Path, *, without: Collection[str] = ()) -> dict[str, Any]:
    """The object in a JSON file; members called `without` are dropped while it is read.

    COCO's polygons and Karpathy's tokens are most of their files: as Python objects they would take gigabytes.

    Raises LgsfError where the file is absent, no JSON, cut off, or no object.
    """

    def reduced(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return {key: value for key, value in pairs if key not in without}

    try:
        content = json.loads(path.read_bytes(), object_pairs_hook=reduced)
    except FileNotFoundError:
        raise LgsfError(f"{path} is missing: check the path in the configuration.") from None
    except OSError as error:
        raise LgsfError(f"{path} could not be read ({reason(error)}): check the path and its permissions.") from None
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise LgsfError(f"{path} is not valid JSON ({error}): {REMEDY}.") from None
    if not isinstance(content, dict):
        raise LgsfError(f"{path} holds {type(content).__name__}, not a JSON object: {REMEDY}.")
    return content


def entries(path: Path, content: Mapping[str, Any], key: str, expected: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place in words, entry) of a list of objects; `expected` says which file should have it."""
    listed = content.get(key)
    if not isinstance(listed, list):
        raise LgsfError(f"{path} has no list {key!r}: it should be {expected}.")
    for number, entry in enumerate(listed):
        place = f"{key}[{number}]"
        if not isinstance(entry, dict):
            raise LgsfError(f"{path}, {place} is not an object: {REMEDY}.")
        yield place, entry


def member(path: Path, place: str, entry: Mapping[str, Any], key: str, kind: type[Value]) -> Value:
    """`entry[key]`, which must be there and of the given kind; true and false are no numbers."""
    value = entry.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise LgsfError(f"{path}, {place}: {key!r} is {'missing' if value is None else f'{value!r:.60}'}, and should be "
                        f"{_WORDS[kind]}; {REMEDY}.")  # fmt: skip
    return value
