"""Settings of annotations and region features that come in files of their own."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from lgsf.data.annotations.settings import AnnotationSettings
from lgsf.data.precomp.settings import JUDGEMENTS
from lgsf.data.source import Source, TokenizerName
from lgsf.system.settings import PlainPath, Settings

MAPPING = "id_mapping.json"


class FeatureFiles(Settings):
    """What every format of features has."""

    name: str = Field("unknown", min_length=1, description="what the region features are: BUTD, VinVL, ...")
    boxes: bool = Field(True, description="take the boxes over where the files have them; false leaves them out")


class TsvFeatures(FeatureFiles):
    """Bottom-up attention's TSV: image_id, width, height, num_boxes, boxes and features in base64."""

    format: Literal["tsv"]
    paths: list[PlainPath] = Field(
        min_length=1, description="the .tsv files, in any order; together they hold every image"
    )

    def files(self) -> list[str]:
        """Everything that is read."""
        return list(self.paths)


class FolderFeatures(FeatureFiles):
    """A folder with one .npy or .npz per image, under the id or the file name of the image."""

    format: Literal["folder"]
    path: PlainPath = Field(description="the folder; files may lie in folders below it")
    boxes_path: PlainPath | None = Field(
        None, description="folder with a .npy of boxes per image, under the same names"
    )
    mapping: PlainPath | None = Field(
        None, description=f"JSON of image id to photo; {MAPPING} in the folder needs no mention"
    )

    def files(self) -> list[str]:
        """The folders and the mapping; the arrays are too many to be watched one by one."""
        own = [self.path, f"{self.path}/{MAPPING}", self.boxes_path, self.mapping]
        return [path for path in own if path is not None]


class Hdf5Features(FeatureFiles):
    """HDF5 as captioning packs have it: an entry per image, or arrays over all images; without names, they are tried."""

    format: Literal["hdf5"]
    paths: list[PlainPath] = Field(min_length=1, description="the HDF5 files; together they hold every image")
    features_key: str | None = Field(
        None, description="its features: '{id}_features', '{id}/features', or an array's name"
    )
    boxes_key: str | None = Field(None, description="its boxes, in the same way")
    ids: list[PlainPath] | None = Field(
        None, description="per file, the ids of its rows: .txt with a line per row, or .json"
    )

    def files(self) -> list[str]:
        """Everything that is read."""
        return [*self.paths, *(self.ids or ())]


FeatureSettings = Annotated[TsvFeatures | FolderFeatures | Hdf5Features, Field(discriminator="format")]


class FeaturesSource(Source):
    """Annotations and features in files of their own, in whatever published format."""

    words: ClassVar[str] = "published annotations and region features"
    describes_photos: ClassVar[tuple[str, ...]] = ("images",)

    source: Literal["features"]
    annotations: AnnotationSettings
    features: FeatureSettings
    judgements: PlainPath | None = Field(
        None, description="folder of Flickr8k's ExpertAnnotations.txt and CrowdFlower's"
    )
    images: PlainPath | None = Field(None, description="folder of the photos, for the report's gallery alone")
    licence: str = Field("unknown", description="licence of the data, for the record")
    tokenizer: TokenizerName = Field("treebank", description="what cuts captions into words: jieba for Chinese")
    min_count: int = Field(4, ge=1, description="a word needs this many training occurrences")
    folds: int = Field(1, ge=1, description="folds of the test protocol; 5 is COCO's 1K protocol beside the full test")
    limit_train: int | None = Field(None, ge=2, description="use only the first images of the training split")
    limit_eval: int | None = Field(None, ge=2, description="use only the first images of dev and test")

    def files(self) -> list[str]:
        """Every file that the dataset is made from, and the folders of those that are too many to name."""
        judged = [f"{self.judgements}/{name}" for name in JUDGEMENTS.values()] if self.judgements else []
        return [*self.annotations.files(), *self.features.files(), *judged]

    def optional(self) -> list[str]:
        """The mapping that a folder may have, and people's judgements."""
        named = getattr(self.features, "mapping", None)
        judged = tuple(JUDGEMENTS.values()) if self.judgements else ()
        return [path for path in self.files() if path.endswith((f"/{MAPPING}", *judged)) and path != named]
