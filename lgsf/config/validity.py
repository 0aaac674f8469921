"""Controls of the bench itself: an effect that is there and must be found, and one that is not and must not be."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field, model_validator

from lgsf.system.settings import ListOf, Name, Settings


class Validity(Settings):
    """Methods whose difference to the reference is known before anything is trained."""

    metric: Name = Field("twin_relation", pattern="^twin_", description="the accuracy over twins that is tested")
    finds: ListOf[Name] = Field(min_length=1, description="methods that are better by construction")
    silent: ListOf[Name] = Field(min_length=1, description="methods that differ in nothing that counts")
    least: float = Field(65.0, ge=50, le=100, description="percent that a method of `finds` must reach")

    @property
    def methods(self) -> Iterator[str]:
        """All that are named."""
        yield from self.finds
        yield from self.silent

    @model_validator(mode="after")
    def _either(self) -> Validity:
        if both := sorted(set(self.finds) & set(self.silent)):
            raise ValueError(f"{both[0]!r} stands under finds and under silent; it can be in one of them")
        return self
