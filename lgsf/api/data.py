"""A dataset as a notebook opens it: the files that every step checks, with few words about themselves and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lgsf.api.sheet import Answer, sheet
from lgsf.data.layout import SPLITS, Dataset, Split
from lgsf.data.layout import open_dataset as open_layout
from lgsf.data.pictures import find_pictures
from lgsf.metrics.ranking import contiguous_folds
from lgsf.system.errors import LgsfError
from lgsf.system.given import given_path

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, repr=False)
class OpenSplit(Split):
    """One split: `images` and `captions` are tables, row by row as in scores; `data` is the dataset around it.

    `captions["image"]`, also as `caption_image`, is the row of each caption's image.
    """

    data: Dataset

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.images)

    def __repr__(self) -> str:
        return f"<{self.name} split of {self.data.name}: {len(self.images)} images, {len(self.captions)} captions>"

    @property
    def image_fold(self) -> npt.NDArray[np.int32]:
        """(n_images,) int32: the fold of each image by the dataset's protocol; all 0 but for test."""
        folds = int(self.data.manifest["protocol"]["folds"]) if self.name == "test" else 1
        return contiguous_folds(len(self.images), folds)

    def pictures(self, photos: str | Path | None = None) -> dict[int, Path]:
        """Row of an image -> its picture; `photos` is the folder of the photos where the data are no drawn scenes.

        Raises LgsfError where `photos` is no folder.
        """
        return find_pictures(self.data, self, None if photos is None else given_path(photos))

    def show(
        self,
        captions: Sequence[str],
        found: npt.ArrayLike,
        *,
        own: Sequence[int] | None = None,
        photos: str | Path | None = None,
        size: int = 120,
    ) -> Image:
        """A picture of answers: a caption and the images that were found for it on every line, best first.

        captions  the questions, n of them
        found     (n, k) rows of images, as `Run.search` gives them
        own       n rows: the image that each caption is of, which gets a frame
        photos    as for `pictures`;  size  pixels of the longer side of each image

        Raises LgsfError where these do not fit each other, or the images of the split have no pictures.
        """
        rows = np.asarray(found)
        if rows.ndim != 2 or len(rows) != len(captions) or (own is not None and len(own) != len(captions)):
            raise LgsfError(
                f"show takes a line of images for every caption, and was given {len(captions)} captions, images of shape "
                f"{rows.shape}" + ("." if own is None else f" and {len(own)} own images.")
            )
        if rows.size and not (rows.dtype.kind in "iu" and rows.min() >= 0 and rows.max() < len(self.images)):
            raise LgsfError(f"show takes rows of images, whole numbers from 0 to {len(self.images) - 1}.")
        files = self.pictures(photos)
        if absent := sorted(set(rows.ravel().tolist()) - set(files)):
            where = "name their folder as photos" if photos is None else f"{photos} does not hold them"
            raise LgsfError(f"{len(absent)} images of {self!r} have no picture, the first is row {absent[0]}: {where}.")
        answers = [
            Answer(caption, [files[row] for row in line], None if own is None else line.index(own[n]) if own[n] in line else None)
            for n, (caption, line) in enumerate(zip(captions, rows.tolist(), strict=True))
        ]  # fmt: skip
        return sheet(answers, size=size)


@dataclass(frozen=True, repr=False)
class OpenDataset(Dataset):
    """An opened dataset; `split("train")`, `split("dev")` and `split("test")` open its parts."""

    def __repr__(self) -> str:
        splits = ", ".join(f"{name} {self.manifest['splits'][name]['images']}" for name in SPLITS)
        return f"<dataset {self.name}: images {splits}; {self.manifest['vocabulary']['size']} words>"

    def split(self, name: str) -> OpenSplit:
        """Open a split; its files have the checksums of the manifest. LgsfError for another name, or damage."""
        if name not in self.manifest["splits"]:
            raise LgsfError(f"{self.root} has no split {name!r}, but {', '.join(SPLITS)}.")
        return OpenSplit(**vars(super().split(name)), data=self)


def open_dataset(root: str | Path) -> OpenDataset:
    """Open a prepared dataset, the folder with `dataset.json`; LgsfError where it is missing or damaged.

    >>> data = lgsf.open_dataset("resources/scenes")
    >>> data.split("test").captions["text"][0]
    """
    return OpenDataset(**vars(open_layout(given_path(root))))
