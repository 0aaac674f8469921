"""The readers on COCO's own files, and on the captions of the field's test split."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter

from lgsf.data.annotations.read import read_annotations
from lgsf.data.annotations.settings import AnnotationSettings
from lgsf.data.coco_positives import CAPTIONS_SHA256, fingerprint

pytestmark = pytest.mark.shared
ADAPTER = TypeAdapter(AnnotationSettings)


def test_photographs_with_captions_and_boxes(shared_path: Path, tmp_path: Path) -> None:
    folder = shared_path / "data" / "coco_cc"
    names = sorted(path.name for path in (folder / "images").iterdir())
    (tmp_path / "dev.txt").write_text("\n".join(names[:30]))
    (tmp_path / "test.txt").write_text("\n".join(Path(name).stem for name in names[30:70]))
    settings = {
        "format": "coco",
        "captions": [str(folder / "captions.json")],
        "instances": [str(folder / "instances.json")],
        "lists": {"dev": str(tmp_path / "dev.txt"), "test": str(tmp_path / "test.txt")},
    }
    found = read_annotations(ADAPTER.validate_python(settings))
    assert (len(found.images), len(found.captions)) == (169, 845)
    assert [image.file_name for image in found.split("test").images] == names[30:70]
    assert len(found.split("train").images) == 99
    assert len(found.boxes) == 103
    annotations = json.loads((folder / "instances.json").read_text())["annotations"]
    assert sum(map(len, found.boxes.values())) + found.notes["crowd boxes"] == len(annotations) == 967
    sizes = {image.image_id: image.size for image in found.images}
    assert all((boxes[:, 2] <= sizes[key][0] + 1).all() for key, boxes in found.boxes.items())
    licences = {image.licence for image in found.images}
    assert licences == {"Attribution License", "Attribution-ShareAlike License", "No known copyright restrictions"}


def test_the_five_captions_of_the_field_are_those_of_the_lowest_ids(shared_path: Path, tmp_path: Path) -> None:
    """593 images of Karpathy's test split are in val2017 as well: ids, order and words are those of testall_caps.txt."""
    folder = shared_path / "data" / "coco_text"
    field = np.load(folder / "coco_test_ids.npy").reshape(5000, 5)
    texts = (folder / "testall_caps.txt").read_text().splitlines()
    raw = json.loads((folder / "captions_val2017.json").read_text())
    image_of = {entry["id"]: entry["image_id"] for entry in raw["annotations"]}
    rows = [row for row in range(5000) if field[row, 0] in image_of]
    test = [image_of[field[row, 0]] for row in rows]
    dev = [image["id"] for image in raw["images"] if image["id"] not in set(test)][:100]
    for name, ids in (("dev", dev), ("test", test)):
        (tmp_path / f"{name}.txt").write_text("\n".join(map(str, ids)))
    settings = {
        "format": "coco",
        "captions": [str(folder / "captions_val2017.json")],
        "lists": {"dev": str(tmp_path / "dev.txt"), "test": str(tmp_path / "test.txt")},
    }
    found = read_annotations(ADAPTER.validate_python(settings))
    assert len(found.images) == 5000
    assert found.notes == {"captions beyond the first 5 of an image": 14}
    captions = found.split("test").captions
    assert len(rows) == 593
    assert [int(c.caption_id) for c in captions] == field[rows].ravel().tolist()
    theirs = [texts[5 * row + k] for row in rows for k in range(5)]
    same = [fingerprint([ours.text]) == fingerprint([text]) for ours, text in zip(captions, theirs, strict=True)]
    assert sum(same) == 2959  # of 2965; six captions of this copy of COCO's file hold other words


def test_the_25000_captions_of_the_field(shared_path: Path, tmp_path: Path) -> None:
    """Written as Karpathy's JSON, they come back in their number, order and ids."""
    folder = shared_path / "data" / "coco_text"
    path = write_karpathy_test(folder, tmp_path / "dataset_coco.json")
    test = read_annotations(ADAPTER.validate_python({"format": "karpathy", "path": str(path)})).split("test")
    assert (len(test.images), len(test.captions)) == (5000, 25_000)
    assert [int(c.caption_id) for c in test.captions] == np.load(folder / "coco_test_ids.npy").tolist()
    assert test.caption_table()["image"].tolist() == [k // 5 for k in range(25_000)]
    assert fingerprint([c.text for c in test.captions]) == CAPTIONS_SHA256
    listed = (folder / "karpathy_test_images.txt").read_text().split("\n")
    assert {f"{image.file_name} {image.image_id}" for image in test.images} == set(filter(None, listed))


def write_karpathy_test(folder: Path, path: Path) -> Path:
    """dataset_coco.json with the whole test split of the field, and two images each of train and val."""
    spec = pytest.importorskip("eccv_caption").__file__
    image_of = json.loads((Path(spec).parent / "data" / "original_caption_to_image.json").read_text())
    ids = np.load(folder / "coco_test_ids.npy").reshape(5000, 5)
    texts = (folder / "testall_caps.txt").read_text().splitlines()
    images = []
    for row, own in enumerate(ids.tolist()):
        number = int(image_of[str(own[0])][0])
        sentences = [{"raw": texts[5 * row + k], "sentid": own[k], "tokens": [], "imgid": row} for k in range(5)]
        images.append({"filepath": "val2014", "filename": f"COCO_val2014_{number:012d}.jpg", "imgid": row,
                       "split": "test", "sentences": sentences, "cocoid": number})  # fmt: skip
    for k, split in enumerate(["train", "train", "val", "val"]):
        sentences = [{"raw": "a dog on a road", "sentid": k + 1, "tokens": [], "imgid": 5000 + k}]
        images.append({"filepath": "val2014", "filename": f"COCO_val2014_{k:012d}.jpg", "imgid": 5000 + k,
                       "split": split, "sentences": sentences, "cocoid": k + 1})  # fmt: skip
    path.write_text(json.dumps({"images": images, "dataset": "coco"}))
    return path
