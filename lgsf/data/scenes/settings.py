"""Settings of the built-in source: drawn scenes."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from lgsf.data.scenes.variety import FULL, KINDS, Variety
from lgsf.data.source import Source
from lgsf.system.settings import ListOf

Attribute = Literal["shape", "colour", "size", "fill"]
Relation = Literal["left_of", "right_of", "above", "below", "inside", "next_to"]


# Manifests that were written before these keys existed stay what they were.
_VARIETY = ("twins", "objects", "shapes", "colours", "named", "relations", "focused")


class ScenesSource(Source):
    """The built-in dataset: drawn pictures with captions made from their scene graphs."""

    words: ClassVar[str] = "drawn scenes, made by this project"
    has_scene_graph: ClassVar[bool] = True

    source: Literal["scenes"]
    seed: int = Field(2026, ge=0, description="seed of the drawing; the same seed gives the same bytes")
    train: int = Field(2000, ge=8, multiple_of=2, description="training images; twins come in pairs")
    dev: int = Field(500, ge=8, multiple_of=2, description="development images; an even number")
    test: int = Field(500, ge=8, multiple_of=2, description="test images; an even number")
    size: int = Field(192, ge=160, le=256, description="width and height of a picture in pixels")
    max_regions: int = Field(12, ge=2, le=36, description="boxes kept per image")
    position: bool = Field(True, description="append box coordinates to the region features")
    min_count: int = Field(2, ge=1, description="a word needs this many training occurrences")
    twins: Literal["both", "attribute", "relation"] = Field("both", description="kinds of twins, in turn")
    objects: int = Field(FULL.objects, ge=2, le=FULL.objects, description="the most objects in a picture")
    shapes: int = Field(FULL.shapes, ge=2, le=FULL.shapes, description="how many shapes occur")
    colours: int = Field(FULL.colours, ge=2, le=FULL.colours, description="how many colours occur")
    named: ListOf[Attribute] = Field(
        ("shape", "colour", "size", "fill"), min_length=1, description="attributes that captions may name"
    )
    relations: ListOf[Relation] = Field(
        ("left_of", "right_of", "above", "below", "inside", "next_to"),
        min_length=1,
        description="relations that captions may name",
    )
    focused: int = Field(
        FULL.focused, ge=0, le=5, description="captions of each picture that are false of its twin by construction"
    )
    folds: int = Field(1, ge=1, description="folds of the test protocol")

    @field_validator("named", mode="after")
    @classmethod
    def _enough(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not {"shape", "colour"} & set(value):
            raise ValueError("captions cannot tell objects apart unless they may name shape or colour")
        return value

    @property
    def variety(self) -> Variety:
        """What may be drawn and said."""
        kinds = KINDS if self.twins == "both" else tuple(kind for kind in KINDS if kind.startswith(self.twins))
        return Variety(kinds, self.objects, self.shapes, self.colours, self.named, self.relations, self.focused)

    def drawing(self) -> dict[str, Any]:
        """What decides the drawing, as JSON values; each split says its own store, and full variety goes unsaid."""
        plain = self.model_dump(mode="json")
        unsaid = {name for name in _VARIETY if getattr(self, name) == type(self).model_fields[name].default}
        return {key: value for key, value in plain.items() if key != "store" and key not in unsaid}

    @property
    def pictures(self) -> str | None:
        return ""
