"""`dataset.json` as its readers need it: every key that they use is there and of its type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lgsf.system.errors import LgsfError
from lgsf.system.settings import explain

SPLITS = ("train", "dev", "test")
SPLIT_FILES = ("regions.npy", "region_counts.npy", "images.parquet", "captions.parquet")


class _Part(BaseModel):
    """What a source notes beside these keys is its own affair."""

    model_config = ConfigDict(extra="allow", strict=True)


class _Vocabulary(_Part):
    size: int
    hash: str


class _Protocol(_Part):
    folds: int = Field(ge=1)


class _Split(_Part):
    images: int = Field(ge=1)
    captions: int = Field(ge=1)
    n_regions: int = Field(ge=1)
    region_dim: int = Field(ge=1)
    sha256: dict[str, str] = Field(min_length=1)


class _Splits(_Part):
    train: _Split
    dev: _Split
    test: _Split


class _Manifest(_Part):
    name: str
    source: dict[str, Any]
    protocol: _Protocol
    vocabulary: _Vocabulary
    splits: _Splits


def check_manifest(path: Path, manifest: Any) -> None:
    """LgsfError, which names `path`, where a key is missing or of another type."""
    try:
        _Manifest.model_validate(manifest)
    except ValidationError as error:
        raise LgsfError(f"{path}: {explain(error).removesuffix('.')}: prepare the dataset again.") from None
