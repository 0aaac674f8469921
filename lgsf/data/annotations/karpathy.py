"""Karpathy & Fei-Fei's JSON (CVPR 2015): the splits that the field uses for COCO, Flickr30K and Flickr8k.

Each image has `filename` (COCO also `filepath` and `cocoid`), `split` and `sentences` with `raw` and `sentid`.
COCO's images and captions are called by COCO's numbers, Flickr's as its own files call them: name.jpg and name.jpg#0.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lgsf.data.annotations.json_files import entries, load_json, member
from lgsf.data.annotations.model import Annotations, Caption, Image, SplitName, assemble
from lgsf.data.annotations.settings import KarpathyAnnotations
from lgsf.system.errors import LgsfError

EXPECTED = "Karpathy's dataset_coco.json, dataset_flickr30k.json or dataset_flickr8k.json"
SPLIT_OF: dict[str, SplitName] = {"train": "train", "restval": "train", "val": "dev", "test": "test"}


def read_karpathy(settings: KarpathyAnnotations) -> Annotations:
    """Images and captions in the order of the file, which is that of the field's packs."""
    path = Path(settings.path)
    images: list[Image] = []
    captions: list[Caption] = []
    left_out = 0
    for place, entry in entries(path, load_json(path, without=("tokens",)), "images", EXPECTED):
        split = member(path, place, entry, "split", str)
        if split not in SPLIT_OF:
            raise LgsfError(f"{path}, {place}: the split {split!r} is none of {', '.join(SPLIT_OF)}; correct it.")
        if split == "restval" and not settings.restval:
            left_out += 1
            continue
        image = _image(path, place, entry, SPLIT_OF[split])
        images.append(image)
        captions += _captions(path, place, entry, image)
    return assemble(
        images,
        captions,
        files=[path],
        captions_per_image=settings.captions_per_image,
        notes={"restval images": left_out} if left_out else {},
    )


def _image(path: Path, place: str, entry: dict[str, Any], split: SplitName) -> Image:
    name = member(path, place, entry, "filename", str)
    if "cocoid" not in entry:
        return Image(name, name, split)
    folder = member(path, place, entry, "filepath", str) if "filepath" in entry else ""
    return Image(str(member(path, place, entry, "cocoid", int)), f"{folder}/{name}".lstrip("/"), split)


def _captions(path: Path, place: str, entry: dict[str, Any], image: Image) -> Iterator[Caption]:
    for number, (inner, sentence) in enumerate(entries(path, entry, "sentences", EXPECTED)):
        where = f"{place}.{inner}"
        text = member(path, where, sentence, "raw", str)
        of_coco = "cocoid" in entry
        yield Caption(
            str(member(path, where, sentence, "sentid", int)) if of_coco else f"{image.image_id}#{number}",
            image.image_id,
            text,
        )
