"""Dual encoders off the shelf, as the configuration names them: rows of the tables that nothing here was trained for."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from lgsf.config.names import zero_shot_title
from lgsf.system.settings import PlainPath, Settings, Title


class ZeroShotSettings(Settings):
    """A CLIP, SigLIP or their like, scored on the dataset's photos and captions as it is. It is trained on other data.

    It needs photos: datasets.<name>.images, or drawn scenes.
    """

    title: Title | None = Field(None, description="how tables call it; ' (zero-shot)' is added")
    model: PlainPath = Field(
        min_length=1, description="folder or hub name of a transformers model; package:NAME/FOLDER in a package"
    )
    prompt: str = Field("{}", description="what the model reads of a caption; {} is the caption")
    batch_size: int = Field(32, ge=1, description="photos or captions at a time")
    workers: int = Field(2, ge=0, le=64, description="processes that read and decode photos")
    precision: Literal["float32", "bfloat16", "float16"] = Field("float32", description="of the model's arithmetic")

    @field_validator("prompt")
    @classmethod
    def _holds_the_caption(cls, value: str) -> str:
        if value.count("{}") != 1:
            raise ValueError("must hold {}, once: the place of the caption")
        return value

    def title_of(self, name: str) -> str:
        """How tables call the row."""
        return zero_shot_title(self.title or name)
