"""What every reader of captions and images gives: images with their split, captions with their image, true boxes.

Ids are text and are those of the source (COCO's numbers, or file names), because ground truth beyond the own pair
(CxC, ECCV Caption, human judgements) is told by them. Images stand in the order of the source within their split,
the captions of an image one after the other: the order that folds and ties go by.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from lgsf.data.checks.characters import clean
from lgsf.data.text import is_bytes_literal
from lgsf.system.errors import LgsfError

SplitName = Literal["train", "dev", "test"]
SPLIT_NAMES: tuple[SplitName, ...] = ("train", "dev", "test")
Boxes = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Image:
    """One image.

    image_id   the source's id, unique
    file_name  of the photo, relative to the folder of photos, with "/" between its parts
    size       width and height in pixels, where the source knows
    licence    of the photo, where the source knows
    """

    image_id: str
    file_name: str
    split: SplitName
    size: tuple[int, int] | None = None
    licence: str | None = None


@dataclass(frozen=True, slots=True)
class Caption:
    """One caption of one image; `text` is one line, its words as the source wrote them."""

    caption_id: str
    image_id: str
    text: str


@dataclass(frozen=True)
class Annotations:
    """Images and captions of a whole dataset, checked: made by `assemble`.

    boxes  image_id -> (n, 4) float32 true boxes x0 y0 x1 y1 in pixels, of those images where the source knows them
    files  everything that was read
    notes  what was left out and how often, for the record: "images in no split", "captions beyond the first 5", ...
    """

    images: tuple[Image, ...]
    captions: tuple[Caption, ...]
    boxes: Mapping[str, Boxes] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    notes: Mapping[str, int] = field(default_factory=dict)

    def split(self, name: SplitName) -> Annotations:
        """Only the images of one split, and what belongs to them."""
        return self._only({image.image_id for image in self.images if image.split == name})

    def limited(self, *, train: int | None = None, rest: int | None = None) -> Annotations:
        """Only the first images of the training split, and of dev and test; None keeps them all."""
        kept: set[str] = set()
        for name in SPLIT_NAMES:
            ids = [image.image_id for image in self.images if image.split == name]
            kept |= set(ids[: train if name == "train" else rest])
        return self._only(kept)

    def _only(self, ids: set[str]) -> Annotations:
        return replace(
            self,
            images=tuple(image for image in self.images if image.image_id in ids),
            captions=tuple(caption for caption in self.captions if caption.image_id in ids),
            boxes={image_id: boxes for image_id, boxes in self.boxes.items() if image_id in ids},
        )

    def image_table(self) -> pd.DataFrame:
        """images.parquet of these images: image_id, file_name, and width, height and licence where known.

        A width and height of 0 say that this image's size is unknown while others' are known.
        """
        table = pd.DataFrame(
            {
                "image_id": [image.image_id for image in self.images],
                "file_name": [image.file_name for image in self.images],
            }
        )
        if any(image.size for image in self.images):
            sizes = np.array([image.size or (0, 0) for image in self.images], np.int32)
            table = table.assign(width=sizes[:, 0], height=sizes[:, 1])
        if any(image.licence for image in self.images):
            table = table.assign(licence=[image.licence or "unknown" for image in self.images])
        return table

    def caption_table(self) -> pd.DataFrame:
        """captions.parquet of these captions: caption_id, image (row of `image_table`, int32), text."""
        row = {image.image_id: k for k, image in enumerate(self.images)}
        return pd.DataFrame(
            {
                "caption_id": [caption.caption_id for caption in self.captions],
                "image": np.array([row[caption.image_id] for caption in self.captions], np.int32),
                "text": [caption.text for caption in self.captions],
            }
        )


def assemble(
    images: Iterable[Image],
    captions: Iterable[Caption],
    *,
    files: Iterable[Path],
    boxes: Mapping[str, Boxes] | None = None,
    captions_per_image: int | None = None,
    notes: Mapping[str, int] | None = None,
) -> Annotations:
    """Put together what a reader found, and check it: the one way to make `Annotations`.

    Captions are grouped by image, in their own order under it; with `captions_per_image` the first so many of
    each image stay, as the packs of the field have them, and the number of the others is noted. Captions of
    images that are not listed must be left out (and noted) by the reader.

    Raises LgsfError, naming the first file, for an id that occurs twice, a file name that leads out of the folder of photos,
    a caption of an unknown image, an image without caption, an empty caption, the printed form of Python bytes, and a split without images.
    """
    files = tuple(files)
    source = files[0] if files else Path("annotations")
    images = tuple(images)
    under: dict[str, list[Caption]] = {image.image_id: [] for image in images}
    _check_images(source, images)
    seen: set[str] = set()
    for caption in captions:
        if caption.image_id not in under:
            raise LgsfError(
                f"{source}: caption {caption.caption_id!r} belongs to image {caption.image_id!r}, which is not among "
                "the images; add the image or remove the caption."
            )
        if caption.caption_id in seen:
            raise LgsfError(f"{source}: the caption id {caption.caption_id!r} occurs twice; ids must be unique.")
        seen.add(caption.caption_id)
        under[caption.image_id].append(_clean(source, caption))
    notes = dict(notes or {})
    kept: list[Caption] = []
    for image_id, own in under.items():
        if not own:
            raise LgsfError(f"{source}: image {image_id!r} has no caption; add one or take the image out.")
        kept += own[:captions_per_image]
    if len(kept) < len(seen):
        notes[f"captions beyond the first {captions_per_image} of an image"] = len(seen) - len(kept)
    for name in SPLIT_NAMES:
        if not any(image.split == name for image in images):
            raise LgsfError(f"{source}: the split {name} has no image; give train, dev and test some of them.")
    return Annotations(images, tuple(kept), boxes or {}, files, notes)


def _check_images(source: Path, images: Iterable[Image]) -> None:
    """Ids occur once, and no file name leads out of the folder of photos: reports copy what it names."""
    seen: set[str] = set()
    for image in images:
        if image.image_id in seen:
            raise LgsfError(f"{source}: the image id {image.image_id!r} occurs twice; ids must be unique.")
        seen.add(image.image_id)
        path = PurePosixPath(image.file_name)
        if path.is_absolute() or ".." in path.parts or not path.name:
            raise LgsfError(
                f"{source}: the file name {image.file_name!r} of image {image.image_id!r} does not stay in the folder "
                "of photos; give a path relative to it, without '..'."
            )


def _clean(source: Path, caption: Caption) -> Caption:
    """The caption on one line, with single spaces (COCO's hold line ends) and without characters that nobody sees."""
    text = " ".join(clean(caption.text).split())
    if not text:
        raise LgsfError(f"{source}: caption {caption.caption_id!r} is empty; remove it or fill it in.")
    if is_bytes_literal(text):
        raise LgsfError(
            f"{source}: caption {caption.caption_id!r} is a printed Python bytes literal, {text[:20]}...; "
            "write the file again as decoded text."
        )
    return replace(caption, text=text)
