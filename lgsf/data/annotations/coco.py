"""COCO's captions and instances JSON, of 2014 and 2017, through pycocotools.

Captions of an image are ordered by their ids: so the first five are those of the field's packs (seen on the 593
images that captions_val2017.json and Karpathy's test split share).
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO

from lgsf.data.annotations.json_files import REMEDY, entries, load_json, member
from lgsf.data.annotations.lists import split_by_lists
from lgsf.data.annotations.model import Annotations, Boxes, Caption, Image, assemble
from lgsf.data.annotations.settings import CocoAnnotations
from lgsf.system.errors import LgsfError

CAPTIONS, INSTANCES = "COCO's captions JSON, such as captions_val2014.json", "COCO's instances JSON"


def read_coco(settings: CocoAnnotations) -> Annotations:
    """Images of the captions files, in the order of the lists of splits; true boxes from the instances files.

    Images in no list, and their captions, are left out and noted. Ids are COCO's numbers.
    """
    notes: dict[str, int] = {}
    indices = {Path(path): _index(Path(path), CAPTIONS) for path in settings.captions}
    images: dict[str, Image] = {}
    for path, index in indices.items():
        for image in _images(path, index):
            if image.image_id in images:
                raise LgsfError(f"{path}: image {image.image_id} is in another captions file as well; give each once.")
            images[image.image_id] = image
    names = {image_id: image.file_name for image_id, image in images.items()}
    splits = split_by_lists(settings.lists, names, Path(settings.captions[0]))
    if left := len(images) - len(splits):
        notes["images in no list"] = left
    captions = (
        caption
        for path, index in indices.items()
        for caption in _captions(path, index, images)
        if caption.image_id in splits
    )
    return assemble(
        (_in_split(images[image_id], split) for image_id, split in splits.items()),
        captions,
        files=map(Path, settings.files()),
        boxes=_true_boxes(settings, splits, notes),
        captions_per_image=settings.captions_per_image,
        notes=notes,
    )


def _in_split(image: Image, split: Any) -> Image:
    return Image(image.image_id, image.file_name, split, image.size, image.licence)


def _index(path: Path, expected: str) -> COCO:
    """The file in pycocotools' index, checked first: it takes what it is given, and prints."""
    content = load_json(path, without=("segmentation", "categories"))
    seen: set[int] = set()
    for key, needed in (("images", {"id": int}), ("annotations", {"id": int, "image_id": int})):
        seen.clear()
        for place, entry in entries(path, content, key, expected):
            for name, kind in needed.items():
                member(path, place, entry, name, kind)
            if entry["id"] in seen:
                raise LgsfError(f"{path}, {place}: the id {entry['id']} occurs twice; {REMEDY}.")
            seen.add(entry["id"])
    index = COCO()
    index.dataset = content
    with contextlib.redirect_stdout(io.StringIO()):
        index.createIndex()
    return index


def _images(path: Path, index: COCO) -> Iterator[Image]:
    licences = {}
    for place, entry in entries(path, index.dataset, "licenses", CAPTIONS) if "licenses" in index.dataset else ():
        licences[member(path, place, entry, "id", int)] = member(path, place, entry, "name", str)
    for image_id, entry in index.imgs.items():
        place = f"image {image_id}"
        file_name = member(path, place, entry, "file_name", str)
        size = None
        if "width" in entry or "height" in entry:
            size = (member(path, place, entry, "width", int), member(path, place, entry, "height", int))
        licence = licences.get(member(path, place, entry, "license", int)) if "license" in entry else None
        yield Image(str(image_id), file_name, "train", size, licence)


def _captions(path: Path, index: COCO, images: Mapping[str, Image]) -> Iterator[Caption]:
    for number in sorted(index.anns):
        entry = index.anns[number]
        image_id = str(entry["image_id"])
        if image_id not in images:
            raise LgsfError(f"{path}: caption {number} belongs to image {image_id}, which the file lacks; {REMEDY}.")
        if "caption" not in entry and "bbox" in entry:
            raise LgsfError(f"{path} holds instances: it should be {CAPTIONS}.")
        yield Caption(str(number), image_id, member(path, f"annotation {number}", entry, "caption", str))


def _true_boxes(settings: CocoAnnotations, splits: Mapping[str, Any], notes: dict[str, int]) -> dict[str, Boxes]:
    """image id -> (n, 4) float32 x0 y0 x1 y1 in pixels; crowds, which outline many objects at once, are left out."""
    found: dict[str, Boxes] = {}
    for path in map(Path, settings.instances):
        index, known = _index(path, INSTANCES), 0
        for number, own in index.imgToAnns.items():
            if (image_id := str(number)) not in splits:
                continue
            known += 1
            single = [entry for entry in own if not entry.get("iscrowd")]
            notes["crowd boxes"] = notes.get("crowd boxes", 0) + len(own) - len(single)
            found[image_id] = np.array([_corners(path, entry) for entry in single], np.float32).reshape(-1, 4)
        if not known:
            raise LgsfError(f"{path} has a box of none of the images; give the instances of the same photos.")
    return found


def _corners(path: Path, entry: Mapping[str, Any]) -> tuple[float, float, float, float]:
    """x y width height to x0 y0 x1 y1."""
    box = member(path, f"annotation {entry['id']}", entry, "bbox", list)
    if len(box) != 4 or not all(isinstance(value, int | float) for value in box) or min(box[2:]) < 0:
        raise LgsfError(f"{path}, annotation {entry['id']}: the bbox {box!r:.60} is not x, y, width, height; {REMEDY}.")
    x, y, width, height = map(float, box)
    return x, y, x + width, y + height
