"""Where a dataset comes from: one model per source."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lgsf.config.base import Settings


class ScenesSource(Settings):
    """The built-in dataset: drawn pictures with captions made from their scene graphs."""

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


class PrecompSource(Settings):
    """A pack in the layout of the field (SCAN): {split}_ims.npy, _caps.txt, optional _ids.txt, _boxes.npy."""

    source: Literal["precomp"]
    path: str = Field(description="folder of the pack")
    train: str = Field("train", description="prefix of the training files")
    dev: str = Field("dev", description="prefix of the development files")
    test: str = Field("test", description="prefix of the test files, for COCO usually testall")
    captions_per_image: int = Field(5, ge=1, description="consecutive caption lines that belong to one image")
    images: str | None = Field(None, description="folder of the photos, for the report's gallery alone")
    licence: str = Field("unknown", description="licence of the pack, for the record")
    features: str = Field("unknown", min_length=1, description="what the region features are: BUTD is the usual pack")
    min_count: int = Field(4, ge=1, description="a word needs this many training occurrences")
    folds: int = Field(1, ge=1, description="folds of the test protocol; 5 is COCO's 1K protocol beside the full test")
    limit_train: int | None = Field(None, ge=2, description="use only the first images of the training split")
    limit_eval: int | None = Field(None, ge=2, description="use only the first images of dev and test")


DatasetSettings = Annotated[ScenesSource | PrecompSource, Field(discriminator="source")]
