"""What every part of the configuration is built on: frozen models, names, and validation errors as one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError


def _name(value: str) -> str:
    if not value or not all(c in "abcdefghijklmnopqrstuvwxyz0123456789_" for c in value):
        raise ValueError("a name has only small letters, digits and underscores")
    return value


Name = Annotated[str, AfterValidator(_name)]


class Settings(BaseModel):
    """Base: frozen, unknown keys are errors, no silent conversion between types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


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


def _where(location: tuple[int | str, ...]) -> str:
    """Dotted place of a problem, without the tags that choices between sources and between formats add to it."""
    parts = list(location)
    if parts[:1] == ["datasets"] and len(parts) > 2:
        del parts[2]
    for choice in TAGGED:
        if choice in parts[:-1]:
            del parts[parts.index(choice) + 1]
    return ".".join(str(p) for p in parts if p != "[key]") or "top level"


def explain(error: ValidationError) -> str:
    """One sentence for the first problem of a validation error, with a count of the others."""
    problems = error.errors()
    first = problems[0]
    where = _where(first["loc"])
    given = first.get("input")
    if first["type"] == "extra_forbidden":
        text = f"unknown key '{where}'; check its spelling or remove it"
    elif first["type"] == "missing":
        text = f"key '{where}' is missing; add it"
    elif first["type"] == "value_error":
        text = f"{where}: {first['ctx']['error']!s}" if where != "top level" else str(first["ctx"]["error"])
        if isinstance(given, str):
            text += f", not {given!r}"
    else:
        text = f"{where}: {first['msg'][0].lower()}{first['msg'][1:]}, not {given!r}"
    if len(problems) > 1:
        text += f" (and {len(problems) - 1} more)"
    return text + "."
