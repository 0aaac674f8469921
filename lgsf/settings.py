"""What every part of the configuration is built on: frozen models and the names they may use."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict


def _name(value: str) -> str:
    if not value or not all(c in "abcdefghijklmnopqrstuvwxyz0123456789_" for c in value):
        raise ValueError("a name has only small letters, digits and underscores")
    return value


Name = Annotated[str, AfterValidator(_name)]


class Settings(BaseModel):
    """Base: frozen, unknown keys are errors, no silent conversion between types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
