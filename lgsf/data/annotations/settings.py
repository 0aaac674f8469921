"""Where captions and images come from: the union that a dataset's `annotations` are made of."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lgsf.system.settings import PlainPath, Settings

FIELD = 5  # captions per image in the packs of the field


class Lists(Settings):
    """Files that say which image is in which split: a line per image with its file name, name or id."""

    train: PlainPath | None = Field(
        None, description="list of training images; without it, all that no other list names"
    )
    dev: PlainPath = Field(description="list of development images")
    test: PlainPath = Field(description="list of test images, in the order that folds are cut in")

    def files(self) -> list[str]:
        """The lists that are named."""
        return [path for path in (self.train, self.dev, self.test) if path is not None]


class CocoAnnotations(Settings):
    """COCO's captions JSON (2014 or 2017), read through pycocotools."""

    format: Literal["coco"]
    captions: list[PlainPath] = Field(
        min_length=1, description="captions JSON files, for example of train2014 and val2014"
    )
    instances: list[PlainPath] = Field([], description="instances JSON files: true boxes, for diagnosis")
    lists: Lists = Field(description="lists of the splits: those of Karpathy, or one's own")
    captions_per_image: int | None = Field(FIELD, ge=1, description="captions kept of an image, by id; null keeps all")

    def files(self) -> list[str]:
        """Everything that is read."""
        return [*self.captions, *self.instances, *self.lists.files()]


class KarpathyAnnotations(Settings):
    """Karpathy's JSON: dataset_coco.json, dataset_flickr30k.json, dataset_flickr8k.json."""

    format: Literal["karpathy"]
    path: PlainPath = Field(description="the JSON file")
    restval: bool = Field(
        True, description="COCO's `restval` images belong to training, as usual; false leaves them out"
    )
    captions_per_image: int | None = Field(FIELD, ge=1, description="captions kept of an image; null keeps all")

    def files(self) -> list[str]:
        """Everything that is read."""
        return [self.path]


class FlickrAnnotations(Settings):
    """Flickr8k.token.txt or Flickr30k's results_20130124.token: lines of name.jpg#0, a tab, and the caption."""

    format: Literal["flickr"]
    path: PlainPath = Field(description="the token file")
    lists: Lists = Field(description="lists of the splits, such as Flickr_8k.trainImages.txt")

    def files(self) -> list[str]:
        """Everything that is read."""
        return [self.path, *self.lists.files()]


class TableAnnotations(Settings):
    """One's own data: CSV or JSON lines with the columns image, caption and split, a row per caption."""

    format: Literal["table"]
    path: PlainPath = Field(description=".csv, .tsv or .jsonl file; image is the file's name in the folder of photos")
    lists: Lists | None = Field(None, description="lists of the splits, where the file has no column split")
    captions_per_image: int | None = Field(None, ge=1, description="captions kept of an image; null keeps all")

    def files(self) -> list[str]:
        """Everything that is read."""
        return [self.path, *(self.lists.files() if self.lists else [])]


AnnotationSettings = Annotated[
    CocoAnnotations | KarpathyAnnotations | FlickrAnnotations | TableAnnotations, Field(discriminator="format")
]
