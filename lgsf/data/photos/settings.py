"""Settings of a dataset made from photos: where they are, what is said of them, and how features are extracted."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from lgsf.data.annotations.settings import AnnotationSettings
from lgsf.data.source import Source
from lgsf.system.settings import PlainPath, Settings

# What may change without changing a feature: how the work is shared out, and how much may fail.
OF_THE_MACHINE = ("workers", "shards", "max_bad")


class Extraction(Settings):
    """How features are made from photos."""

    kind: Literal["regions", "grid", "image"] = Field(
        description="regions: boxes of a detector; grid: the cells of a backbone's last map; image: one vector"
    )
    model: PlainPath = Field(
        min_length=1,
        description="folder or hub name of a transformers model; package:NAME/FOLDER lies in an installed package; "
        "timm:NAME or timm:FOLDER is one of timm (grid and image alone)",
    )
    features: Literal["backbone", "queries"] = Field(
        "backbone", description="of regions: pooled from the backbone's last map, or the decoder's query itself"
    )
    top_k: int = Field(36, ge=1, le=1000, description="regions kept of a photo, best score first")
    nms: float = Field(0.7, gt=0, le=1, description="a box that overlaps a better one by more than this IoU is dropped")
    min_score: float = Field(0.0, ge=0, lt=1, description="boxes below this are dropped; the best one is always kept")
    bins: int = Field(7, ge=1, le=32, description="ROI-align: bins along each side of a box, averaged")
    grid: int | None = Field(
        None, ge=1, le=64, description="pool the map to grid x grid cells; null keeps the map's own"
    )
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="of the model's arithmetic (autocast); 16 bits pay on a GPU"
    )
    dtype: Literal["float16", "float32"] = Field("float16", description="of the stored features")
    batch_size: int = Field(8, ge=1, description="photos at a time; last digits depend on it")
    threads: int = Field(1, ge=1, description="CPU threads of the model; last digits depend on it")
    workers: int = Field(
        2, ge=0, le=64, description="processes that read and decode photos; 0: none beside the model's"
    )
    shards: int = Field(1, ge=1, le=10000, description="jobs that share the work: machines or GPUs at once")
    max_bad: float = Field(
        0.01, ge=0, le=1, description="share of unreadable photos that is left out; more is an error"
    )

    @model_validator(mode="after")
    def _kinds(self) -> Extraction:
        if self.model.startswith("timm:") and self.kind == "regions":
            raise ValueError("timm has no detectors: kind regions needs a detector of transformers")
        return self

    def deciding(self) -> dict[str, Any]:
        """What decides the features, as JSON values."""
        return self.model_dump(mode="json", exclude=set(OF_THE_MACHINE))


class PhotosSource(Source):
    """Photos and their captions; features are extracted from the photos."""

    words: ClassVar[str] = "photos with captions, features extracted here"

    source: Literal["photos"]
    images: PlainPath = Field(description="folder of the photos; it also serves the report's gallery")
    annotations: AnnotationSettings = Field(description="captions, splits, and true boxes where they are known")
    extract: Extraction
    licence: str = Field("unknown", description="licence of photos and captions, for the record")
    features: str | None = Field(None, min_length=1, description="how tables call the features; default: the model")
    min_count: int = Field(4, ge=1, description="a word needs this many training occurrences")
    folds: int = Field(1, ge=1, description="folds of the test protocol; 5 is COCO's 1K protocol beside the full test")
    limit_train: int | None = Field(None, ge=2, description="use only the first images of the training split")
    limit_eval: int | None = Field(None, ge=2, description="use only the first images of dev and test")

    @property
    def features_name(self) -> str:
        """What tables call the features."""
        return self.features or f"{self.extract.model.rstrip('/').rpartition('/')[2]} {self.extract.kind}"

    def files(self) -> list[str]:
        """The annotations; photos are too many to watch, the extraction looks at their sizes."""
        return self.annotations.files()

    def required(self) -> list[str]:
        """The annotations, and the folder of the photos."""
        return [*super().required(), self.images]
