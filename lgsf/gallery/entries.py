"""Texts, boxes and pictures of the images and captions that an album names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lgsf.data.layout import Dataset, Split
from lgsf.data.pictures import find_pictures
from lgsf.gallery.album import CaptionEntry, Change, ImageEntry, Question
from lgsf.gallery.pictures import read_credits, thumbnails


def entries(
    data: Dataset,
    split: Split,
    questions: Iterable[Question],
    changes: Iterable[Change],
    *,
    photos: Path | None,
    budget: int,
    notes: list[str],
) -> dict[str, dict[int, Any]]:
    """The album's `images` and `captions`; `notes` learns which pictures are not there."""
    asked = [question.image for question in questions]
    images, captions = _rows(questions, changes, split.caption_image)
    available = find_pictures(data, split, photos)
    files = {row: available[row] for row in images if row in available}
    credits = read_credits(photos)
    pictures = thumbnails(files, large=frozenset(asked), budget=budget)
    if not files and photos is None:
        notes.append(
            "No pictures are shown: this dataset holds features alone. Whoever has the photos names their folder "
            f"under datasets.{data.name}.images."
        )
    elif len(files) < len(images):
        notes.append(f"{len(images) - len(files)} of {len(images)} pictures were not found and stand here in words.")
    if len(pictures) < len(files):
        left = len(files) - len(pictures)
        notes.append(f"{left} of {len(files)} pictures stand here in words, which keeps the page small.")
    texts = split.captions["text"].tolist()
    order = np.argsort(split.caption_image, kind="stable")
    starts = np.searchsorted(split.caption_image[order], np.arange(len(split.images) + 1))
    return {
        "images": {
            row: ImageEntry(
                id=str(split.images["image_id"].iloc[row]),
                captions=[texts[c] for c in order[starts[row] : starts[row + 1]]],
                picture=pictures.get(row),
                boxes=_boxes(split, row) if row in asked else [],
                credit=credits[files[row].name] if row in files and files[row].name in credits else _credit(split, row),
            )
            for row in images
        },
        "captions": {row: CaptionEntry(text=texts[row], image=int(split.caption_image[row])) for row in captions},
    }


def _rows(
    questions: Iterable[Question], changes: Iterable[Change], caption_image: npt.NDArray[np.int64]
) -> tuple[list[int], list[int]]:
    """Rows of images and of captions in the order in which they are shown: where room is short, the last go first."""
    images = dict.fromkeys(question.image for question in questions)
    captions = dict.fromkeys(question.caption for question in questions)
    asked: list[Question | Change] = [*questions, *changes]
    for item in asked:
        top = dict.fromkeys(row for answer in item.answers for row in answer.top)
        if item.direction == "i2t":
            images[item.row] = None
            captions |= top
        else:
            captions[item.row] = None
            images[int(caption_image[item.row])] = None
            images |= top
    return list(images), list(captions)


def _boxes(split: Split, row: int) -> list[tuple[float, float, float, float]]:
    """Valid regions of one image, best first."""
    if split.boxes is None:
        return []
    boxes = split.boxes.read(np.array([row]))[0, : split.region_counts[row]].astype(np.float64)
    return [(x0, y0, x1, y1) for x0, y0, x1, y1 in np.round(boxes, 5).tolist()]


def _credit(split: Split, row: int) -> str:
    """Author and licence of a picture, as far as the dataset knows them."""
    known = [split.images[name].iloc[row] for name in ("author", "licence") if name in split.images]
    return ", ".join(text for text in known if isinstance(text, str) and text)
