"""What every part of the configuration is built on: frozen models, names, and validation errors as one sentence."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from lgsf.system.errors import LgsfError
from lgsf.system.given import given_path
from lgsf.system.names import LARGEST_SEED, name_problem, shown


def _name(value: str) -> str:
    if (problem := name_problem(value)) is not None:
        raise ValueError(problem)
    return value


def _title(value: str) -> str:
    if not value.strip():
        raise ValueError("a title needs at least one letter; leave the key out for the name itself")
    if any(unicodedata.category(letter) in ("Cc", "Zl", "Zp", "Cs") for letter in value):
        raise ValueError("a title stands on one line, without control characters")
    return value


def _plain_path(value: str) -> str:
    if not value.strip() or any(ord(letter) < 32 for letter in value):
        raise ValueError("a path is needed")
    if found := sorted(set(value) & set("{}<>")):
        raise ValueError(
            f"the path holds {' and '.join(found)}, which Snakemake reads as a pattern; rename the folder, or make a "
            "link to it and give the link"
        )
    try:
        return str(given_path(value))
    except LgsfError as error:
        raise ValueError(str(error).removesuffix(".")) from None


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


T = TypeVar("T")
ListOf = Annotated[tuple[T, ...], BeforeValidator(_as_tuple)]  # a list, frozen as all settings are
Name = Annotated[str, AfterValidator(_name)]
Title = Annotated[str, Field(max_length=200), AfterValidator(_title)]
PlainPath = Annotated[str, AfterValidator(_plain_path)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]


class Settings(BaseModel):
    """Base: frozen, unknown keys are errors, no silent conversion between types, no infinity and no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


# Keys of datasets whose value is one of several models, told apart by its `format`.
TAGGED = ("annotations", "features")


def plain_dicts(value: Any) -> Any:
    """Plain dicts all the way down (Snakemake hands over its own mapping types)."""
    if isinstance(value, Mapping):
        return {k: plain_dicts(v) for k, v in value.items()}
    return value


def deep_merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` on top of `base`; mappings merge, everything else replaces."""
    out = dict(base)
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(out.get(key), Mapping):
            out[key] = deep_merge(out[key], value)
        else:
            out[key] = value
    return out


def place_of(location: tuple[int | str, ...]) -> tuple[str, ...]:
    """The keys that lead to a problem, without the tags that choices between sources and formats add to them."""
    parts = list(location)
    if parts[:1] in (["datasets"], ["imports"]) and len(parts) > 2:
        del parts[2]
    for choice in TAGGED:
        if choice in parts[:-1]:
            del parts[parts.index(choice) + 1]
    return tuple(str(part) for part in parts if part != "[key]")


# What is needed, where pydantic's own words speak of Python.
NEEDED = {
    **dict.fromkeys(("tuple_type", "list_type"), "a list is needed, such as [0, 1]"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type", "mapping_type"), "keys and values are needed"),
    "string_type": "text is needed",
    "finite_number": "a finite number is needed",
}


def explain(error: ValidationError) -> str:
    """One sentence for the first problem of a validation error, with a count of the others."""
    problems = error.errors()
    first = problems[0]
    where = ".".join(place_of(first["loc"])) or "top level"
    kind, given = first["type"], first.get("input")
    if kind == "extra_forbidden":
        text = f"unknown key '{where}'; check its spelling or remove it"
    elif kind == "missing":
        text = f"key '{where}' is missing; add it"
    elif kind == "union_tag_not_found" and isinstance(given, Mapping):
        tag = first["ctx"]["discriminator"].strip("'")
        text = f"key '{where}.{tag}' is missing; add it, it says of what kind this is"
    elif kind == "union_tag_invalid":
        tag = first["ctx"]["discriminator"].strip("'")
        text = f"{where}.{tag}: must be one of {first['ctx']['expected_tags']}, not {shown(first['ctx']['tag'])}"
    elif kind == "value_error":
        text = f"{where}: {first['ctx']['error']!s}" if where != "top level" else str(first["ctx"]["error"])
        if isinstance(given, str):
            text += f", not {shown(given)}"
    elif kind == "union_tag_not_found" or kind in NEEDED:
        text = f"{where}: {NEEDED.get(kind, NEEDED['dict_type'])}, not {shown(given)}"
    elif kind == "too_short":
        least = first["ctx"]["min_length"]
        text = f"{where}: at least {least} {'entry is' if least == 1 else 'entries are'} needed, not {shown(given)}"
    else:
        text = f"{where}: {first['msg'][0].lower()}{first['msg'][1:]}, not {shown(given)}"
    if len(problems) > 1:
        text += f" (and {len(problems) - 1} more)"
    return text + "."
