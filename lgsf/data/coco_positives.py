"""Positives of ECCV Caption and CxC for COCO's 5K test split, from the data files of the package eccv-caption.

Only the files are read: nothing of the package is imported, and nothing is fetched. Ids decide which row is
which caption; where they do not say it, the text does, by a fingerprint of the 25,000 captions.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lgsf.data.layout import Split
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_json
from lgsf.system.hashes import sha256

IMAGES, PER_IMAGE = 5000, 5
PACKAGE = "eccv_caption"
INSTALL = "install the extra 'eccv' (pip install 'lgsf-benchmark[eccv]') and evaluate again"
# Files of eccv-caption 0.1.0; another version has other numbers, and they must not stand beside these unseen.
SHA256 = {
    "coco_test_ids.npy": "edf99145aaed260188fd9384c1329ed287fca0e9b92e4e59de46660667932a15",
    "original_caption_to_image.json": "646c37bf5148480d854a3d135b1f3646cc7fa2bd0f84ed7499e264f09338e0fa",
    "eccv_image_to_caption.json": "47b822df8932da569a471a557f49e7b45465dac3728c2e2922f7bfbd25399242",
    "eccv_caption_to_image.json": "3f1d209e7fc4100acc4092818125884d1523582ccebf950a4f89ff71babe281a",
    "cxc_image_to_caption.json": "e567e46b527901bb87ad9cf6511d005e5ad80620a968db1b3314bce23c917a61",
    "cxc_caption_to_image.json": "95fa65de2171c2d5df8769b46770cb74b9d4e09522d0c255e5d166c56028d125",
}
# sha256 of the captions in the order of the field, reduced to small letters and digits, one per line: this is
# how we know that caption k of an image is the one that COCO's k-th id of that image names.
CAPTIONS_SHA256 = "ef2c967434bc87b11033a879cd0b81eae5d8a39329a1c46a6f604087eeeb00d4"
NOT_COCO = "the split is not COCO's 5K test split with COCO's ids"
COCO_FILE = re.compile(r"(?:.*/)?(?:COCO_(?:val|train)2014_)?0*(\d+)(?:\.jpe?g)?", re.IGNORECASE)
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class CocoRows:
    """COCO image id -> row of the split, COCO caption id -> row; and the folder of the package's files."""

    image: Mapping[int, int]
    caption: Mapping[int, int]
    folder: Path


def coco_rows(split: Split) -> CocoRows | str:
    """Which row of the split is which image and caption of COCO's 5K test split, or why that is unknown.

    The images' ids may be COCO's numbers (as in the field's _ids.txt) or file names; captions are told by
    COCO's numbers, or by their place in the field's order if all 25,000 texts confirm it.

    Raises LgsfError where the package's files are not the ones this code was checked with.
    """
    texts = split.captions["text"].tolist()
    if (len(split.images), len(texts)) != (IMAGES, IMAGES * PER_IMAGE):
        return NOT_COCO
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return f"the package eccv-caption is not installed: {INSTALL}"
    folder = Path(spec.submodule_search_locations[0]) / "data"
    _check(folder)
    field = np.load(folder / "coco_test_ids.npy", allow_pickle=False).astype(np.int64)
    image_of = {int(c): int(i[0]) for c, i in _read(folder / "original_caption_to_image.json").items()}
    ids = _caption_ids(split, field) or _by_image_and_place(split, field, image_of)
    if ids is None and fingerprint(texts) == CAPTIONS_SHA256:
        ids = field.tolist()
    if ids is None:
        return NOT_COCO
    image_row = split.caption_image.tolist()
    images = {image_of[caption]: row for caption, row in zip(ids, image_row, strict=True)}
    if any(images[image_of[caption]] != row for caption, row in zip(ids, image_row, strict=True)):
        return f"{NOT_COCO} (captions of one COCO image belong to several images of the split)"
    return CocoRows(images, {caption: row for row, caption in enumerate(ids)}, folder)


def coco_pairs(name: str, rows: CocoRows) -> tuple[dict[str, tuple[Rows, Rows]], dict[str, Any]]:
    """(query rows, candidate rows) of "eccv" or "cxc" in either direction, and where they come from.

    ECCV Caption names two captions that are not in the test split. They count among the positives, as in its
    own code, and lie behind the end of the gallery.
    """
    sides = {}
    files = {"i2t": f"{name}_image_to_caption.json", "t2i": f"{name}_caption_to_image.json"}
    for direction, file in files.items():
        queries, candidates = (rows.image, rows.caption) if direction == "i2t" else (rows.caption, rows.image)
        outside: dict[int, int] = {}
        query, candidate = [], []
        for key, values in _read(rows.folder / file).items():
            for value in map(int, values):
                row = candidates.get(value)
                if row is None:
                    row = outside.setdefault(value, len(candidates) + len(outside))
                query.append(queries[int(key)])
                candidate.append(row)
        sides[direction] = (np.array(query, np.int64), np.array(candidate, np.int64))
    return sides, {file: SHA256[file] for file in files.values()}


def fingerprint(texts: list[str]) -> str:
    """sha256 of captions reduced to small letters and digits: tokenizers and full stops do not change it."""
    reduced = ("".join(c for c in text.lower() if c.isalnum()) for text in texts)
    return hashlib.sha256("\n".join(reduced).encode()).hexdigest()


def _caption_ids(split: Split, field: Rows) -> list[int] | None:
    """The captions' own ids where these are COCO's numbers."""
    names = split.captions["caption_id"].astype(str)
    if not names.str.fullmatch(r"\d+").all():
        return None
    ids = [int(name) for name in names]
    return ids if set(ids) == set(field.tolist()) else None


def _by_image_and_place(split: Split, field: Rows, image_of: Mapping[int, int]) -> list[int] | None:
    """COCO ids by the image's id and the caption's place under it, if the texts in field order confirm it."""
    matches = [COCO_FILE.fullmatch(str(name)) for name in split.images["image_id"]]
    if not all(matches):
        return None
    numbers = [int(match[1]) for match in matches if match]
    if set(numbers) != set(image_of.values()):
        return None
    waiting: dict[int, list[int]] = {}
    for caption in field[::-1].tolist():
        waiting.setdefault(image_of[caption], []).append(caption)
    ids = []
    for row in split.caption_image.tolist():
        left = waiting[numbers[row]]
        if not left:
            return None
        ids.append(left.pop())
    text = dict(zip(ids, split.captions["text"], strict=True))
    return ids if fingerprint([text[caption] for caption in field.tolist()]) == CAPTIONS_SHA256 else None


def _check(folder: Path) -> None:
    for file, digest in SHA256.items():
        path = folder / file
        if not path.is_file() or sha256(path) != digest:
            raise LgsfError(f"{path} is not the file of eccv-caption 0.1.0: install that version and evaluate again.")


def _read(path: Path) -> dict[str, list[int]]:
    content = read_json(path, hint=INSTALL)
    return dict(content)
