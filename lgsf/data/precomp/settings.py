"""Settings of packs in the layout of the field (SCAN), and the files that belong to one."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from lgsf.data.source import Source, TokenizerName
from lgsf.system.settings import PlainPath

JUDGEMENTS = {"expert": "ExpertAnnotations.txt", "crowd": "CrowdFlowerAnnotations.txt"}  # kind -> file


class PrecompSource(Source):
    """A pack in the layout of the field (SCAN): {split}_ims.npy, _caps.txt, optional _ids.txt, _boxes.npy."""

    words: ClassVar[str] = "a feature pack in the field's SCAN layout"
    describes_photos: ClassVar[tuple[str, ...]] = ("images",)

    source: Literal["precomp"]
    path: PlainPath = Field(description="folder of the pack")
    train: str = Field("train", description="prefix of the training files")
    dev: str = Field("dev", description="prefix of the development files")
    test: str = Field("test", description="prefix of the test files, for COCO usually testall")
    captions_per_image: int = Field(5, ge=1, description="consecutive caption lines that belong to one image")
    images: PlainPath | None = Field(None, description="folder of the photos, for the report's gallery alone")
    licence: str = Field("unknown", description="licence of the pack, for the record")
    features: str = Field("unknown", min_length=1, description="what the region features are: BUTD is the usual pack")
    min_count: int = Field(4, ge=1, description="a word needs this many training occurrences")
    tokenizer: TokenizerName = Field("treebank", description="what cuts captions into words: jieba for Chinese")
    folds: int = Field(1, ge=1, description="folds of the test protocol; 5 is COCO's 1K protocol beside the full test")
    limit_train: int | None = Field(None, ge=2, description="use only the first images of the training split")
    limit_eval: int | None = Field(None, ge=2, description="use only the first images of dev and test")

    def files(self) -> list[str]:
        """Every file of the pack that may exist: features and captions, optional ids and boxes, people's judgements."""
        parts = ("ims.npy", "caps.txt", "ids.txt", "boxes.npy")
        names = [f"{prefix}_{part}" for prefix in (self.train, self.dev, self.test) for part in parts]
        return [f"{self.path}/{name}" for name in (*names, *JUDGEMENTS.values())]

    def optional(self) -> list[str]:
        """All but features and captions."""
        return [path for path in self.files() if not path.endswith(("_ims.npy", "_caps.txt"))]
