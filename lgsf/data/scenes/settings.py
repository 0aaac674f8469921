"""Settings of the built-in source: drawn scenes."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from lgsf.data.source import Source


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
    folds: int = Field(1, ge=1, description="folds of the test protocol")

    @property
    def pictures(self) -> str | None:
        return ""
