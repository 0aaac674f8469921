"""Drawn scenes on disk: pictures, captions and instances in COCO's own JSON formats, and the scene graphs.

images/<split>/000000.png   the pictures
captions_<split>.json       info, licenses, images, annotations (id, image_id, caption)
instances_<split>.json      info, licenses, images, annotations (category, bbox, area, segmentation), categories
scene_graphs_<split>.jsonl  one line per picture: the scene, its twin, and what each caption claims
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from pycocotools import mask as coco_mask

from lgsf.data.layout import SPLITS
from lgsf.data.scenes.captions import Caption
from lgsf.data.scenes.graph import Scene, SceneObject, as_json, from_json
from lgsf.data.scenes.pictures import Picture
from lgsf.data.scenes.statements import Statement, statement_as_json, statement_from_json
from lgsf.data.scenes.variety import KINDS, SHAPES, Kind
from lgsf.system.hashes import sha256

LICENCE = "CC0-1.0"
_LICENSES = [{"id": 1, "name": LICENCE, "url": "https://creativecommons.org/publicdomain/zero/1.0/"}]
_CATEGORIES = [{"id": k, "name": shape, "supercategory": "shape"} for k, shape in enumerate(SHAPES, start=1)]
_ID_STEP = 1_000_000  # ids of the splits never meet: training pictures start at 1000001


@dataclass(frozen=True)
class DrawnScene:
    """A scene with its picture and captions; its twin is the neighbour in the split."""

    scene: Scene
    picture: Picture
    captions: Sequence[Caption]
    kind: Kind
    roles: tuple[int, int]
    attribute: str | None


@dataclass(frozen=True)
class SceneSplit:
    """One split as it was read back from disk; rows of captions are grouped by image.

    boxes  per image (n_objects, 4) float64 x0 y0 x1 y1 in pixels: what can be seen of each object
    """

    image_ids: list[int]
    files: list[Path]
    sizes: list[tuple[int, int]]
    boxes: list[npt.NDArray[np.float64]]
    scenes: list[Scene]
    kinds: list[Kind]
    caption_ids: list[int]
    caption_image: npt.NDArray[np.int32]
    texts: list[str]
    statements: list[Statement]


def write_scenes(folder: Path, split: str, drawn: Iterable[DrawnScene]) -> None:
    """Write one split into `folder`; twins must follow one another."""
    pictures = folder / "images" / split
    pictures.mkdir(parents=True)
    first = (SPLITS.index(split) + 1) * _ID_STEP + 1
    images: list[dict[str, Any]] = []
    captions: list[dict[str, Any]] = []
    instances: list[dict[str, Any]] = []
    with (folder / f"scene_graphs_{split}.jsonl").open("w", encoding="utf-8") as graphs:
        for row, item in enumerate(drawn):
            file_name, image_id = f"{row:06d}.png", first + row
            Image.fromarray(item.picture.pixels).save(pictures / file_name, "PNG", compress_level=4)
            height, width = item.picture.pixels.shape[:2]
            images.append({"id": image_id, "file_name": file_name, "width": width, "height": height, "license": 1})
            claims = []
            for caption in item.captions:
                caption_id = first + len(captions)
                captions.append({"id": caption_id, "image_id": image_id, "caption": caption.text})
                claims.append(
                    {"caption_id": caption_id, "objects": caption.objects} | statement_as_json(caption.statement)
                )
            for member, visible in zip(item.scene.objects, item.picture.visible, strict=True):
                instances.append(_instance(first + len(instances), image_id, member, visible))
            graph = {
                "image_id": image_id,
                "twin_id": first + (row ^ 1),
                "kind": item.kind,
                "roles": item.roles,
                "attribute": item.attribute,
                "visible": [round(share, 4) for share in item.picture.shares],
                "captions": claims,
                "scene": as_json(item.scene),
            }
            graphs.write(json.dumps(graph) + "\n")
    common = {"info": _info(split), "licenses": _LICENSES, "images": images}
    _dump(folder / f"captions_{split}.json", {**common, "annotations": captions})
    _dump(
        folder / f"instances_{split}.json",
        {**common, "annotations": instances, "categories": _CATEGORIES},
    )


def read_scenes(folder: Path, split: str) -> SceneSplit:
    """Read back what `write_scenes` wrote."""
    captions = _load(folder / f"captions_{split}.json")
    row_of = {image["id"]: row for row, image in enumerate(captions["images"])}
    boxes: list[list[list[float]]] = [[] for _ in row_of]
    for instance in _load(folder / f"instances_{split}.json")["annotations"]:
        x, y, width, height = instance["bbox"]
        boxes[row_of[instance["image_id"]]].append([x, y, x + width, y + height])
    with (folder / f"scene_graphs_{split}.jsonl").open(encoding="utf-8") as file:
        graphs = [json.loads(line) for line in file]
    claims = {claim["caption_id"]: claim for graph in graphs for claim in graph["captions"]}
    sentences = captions["annotations"]
    return SceneSplit(
        image_ids=list(row_of),
        files=[folder / "images" / split / image["file_name"] for image in captions["images"]],
        sizes=[(image["width"], image["height"]) for image in captions["images"]],
        boxes=[np.array(rows, np.float64) for rows in boxes],
        scenes=[from_json(graph["scene"]) for graph in graphs],
        kinds=[KINDS[KINDS.index(graph["kind"])] for graph in graphs],
        caption_ids=[sentence["id"] for sentence in sentences],
        caption_image=np.array([row_of[sentence["image_id"]] for sentence in sentences], np.int32),
        texts=[sentence["caption"] for sentence in sentences],
        statements=[statement_from_json(claims[sentence["id"]]) for sentence in sentences],
    )


def checksums(folder: Path, split: str) -> dict[str, str]:
    """sha256 of the split's files; of its pictures one digest over the digests in order of the names."""
    names = (f"captions_{split}.json", f"instances_{split}.json", f"scene_graphs_{split}.jsonl")
    pictures = [sha256(path) for path in sorted((folder / "images" / split).iterdir())]
    return {name: sha256(folder / name) for name in names} | {
        f"images/{split}": hashlib.sha256("\n".join(pictures).encode()).hexdigest()
    }


def _instance(number: int, image_id: int, item: SceneObject, visible: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """COCO's record of what can be seen of one object; its attributes ride along."""
    encoded = coco_mask.encode(np.asfortranarray(visible.astype(np.uint8)))
    x, y, width, height = coco_mask.toBbox(encoded).tolist()
    return {
        "id": number,
        "image_id": image_id,
        "category_id": SHAPES.index(item.shape) + 1,
        "bbox": [x, y, width, height],
        "area": int(coco_mask.area(encoded)),
        "iscrowd": 0,
        "segmentation": {"size": encoded["size"], "counts": encoded["counts"].decode("ascii")},
        "attributes": {"colour": item.colour, "size": item.size, "fill": item.fill},
    }


def _info(split: str) -> dict[str, Any]:
    return {"description": f"Scenes, split {split}: drawn pictures with captions from scene graphs", "version": "1"}


def _dump(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def _load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
