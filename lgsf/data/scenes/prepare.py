"""The built-in dataset: draw scenes, write them as COCO files, and turn those files into the dataset layout.

Drawing knows the scene graph. Everything after it works on the files: regions come from the pixels alone,
and the graph serves only to say which captions are true of which pictures.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from lgsf.data.annotations.objects import recall
from lgsf.data.layout import SPLITS
from lgsf.data.scenes.captions import caption_scene
from lgsf.data.scenes.descriptors import Standardiser, columns, describe
from lgsf.data.scenes.files import LICENCE, DrawnScene, SceneSplit, checksums, read_scenes, write_scenes
from lgsf.data.scenes.graph import draw_pair
from lgsf.data.scenes.pictures import draw
from lgsf.data.scenes.regions import propose
from lgsf.data.scenes.settings import ScenesSource
from lgsf.data.scenes.statements import true_pairs
from lgsf.data.scenes.variety import KINDS, Variety
from lgsf.data.text import Vocabulary
from lgsf.data.writer import DatasetWriter
from lgsf.system.errors import LgsfError

_ATTEMPTS = 5_000  # a pair of the full variety needs a handful
LEAST_SEEN = 0.25  # no object is hidden more than this leaves to be seen
FEATURES = "Scenes-pixels"  # colour, shape and place of proposed regions (lgsf.data.scenes.descriptors)

Bags = set[tuple[tuple[str, str, str, str], ...]]
Rows = npt.NDArray[np.int32]


def prepare(settings: ScenesSource, *, name: str, root: Path) -> None:
    """Draw the dataset `settings` describes and write it into `root`; a failure leaves nothing new.

    Beside the dataset layout, `root/source` holds pictures, COCO files and scene graphs.
    """
    protocol = {"folds": settings.folds}
    with DatasetWriter(root, name=name, source={}, protocol=protocol, store=settings.store) as writer:
        folder = writer.folder("source")
        used: Bags = set()
        for split in SPLITS:
            write_scenes(folder, split, _draw_split(settings, split, used))
        splits = {split: read_scenes(folder, split) for split in SPLITS}
        described = {split: _describe(scenes, settings) for split, scenes in splits.items()}
        standardise = Standardiser.fit(described["train"][0])
        _write_columns(folder / "features.json", standardise, position=settings.position)
        writer.vocabulary(Vocabulary.build(splits["train"].texts, min_count=settings.min_count))
        for split, scenes in splits.items():
            _write_split(writer, split, scenes, *described[split], standardise, settings)
        writer.note(
            source={
                "kind": "scenes",
                "licence": LICENCE,
                "features": FEATURES,
                "settings": settings.drawing(),
                "sha256": {k: v for split in SPLITS for k, v in checksums(folder, split).items()},
            }
        )


def _draw_split(settings: ScenesSource, split: str, used: Bags) -> Iterator[DrawnScene]:
    """The scenes of a split, twin after twin, pairs of each kind in turn.

    `used` holds the bags of objects drawn so far: no two pairs share one, in this split or another.
    """
    for pair in range(getattr(settings, split) // 2):
        rng = np.random.default_rng((settings.seed, SPLITS.index(split), pair))
        yield from _draw_twins(rng, pair, settings.size, used, settings.variety)


def _draw_twins(rng: np.random.Generator, pair: int, size: int, used: Bags, variety: Variety) -> list[DrawnScene]:
    """Two twins in random order; drawn again until they are new and show what captions need.

    Raises LgsfError where so little variety is allowed that no new pair is found.
    """
    for _ in range(_ATTEMPTS):
        twins = draw_pair(rng, variety.kinds[pair % len(variety.kinds)], variety)
        bags = {scene.bag for scene in twins.scenes}
        if bags & used:
            continue
        pictures = [draw(scene, size) for scene in twins.scenes]
        if min(share for picture in pictures for share in picture.shares) < LEAST_SEEN:
            continue
        drawn = []
        for own, picture in enumerate(pictures):
            scene, twin = twins.scenes[own], twins.scenes[1 - own]
            captions = caption_scene(rng, scene, twin, roles=twins.roles, shares=picture.shares, variety=variety)
            if captions is not None:
                drawn.append(DrawnScene(scene, picture, captions, twins.kind, twins.roles, twins.attribute))
        if len(drawn) == 2:
            used |= bags
            return drawn if rng.random() < 0.5 else drawn[::-1]
    raise LgsfError(
        f"no new pair of scenes was found in {_ATTEMPTS} attempts: ask for fewer pictures, or allow more objects, "
        "shapes, colours or named attributes."
    )


Described = tuple[list[list[npt.NDArray[np.float32]]], list[npt.NDArray[np.float64]]]


def _describe(scenes: SceneSplit, settings: ScenesSource) -> Described:
    """Per picture the descriptors of its regions, and their boxes (n, 4) in pixels, best region first."""
    features, boxes = [], []
    for file in scenes.files:
        with Image.open(file) as picture:
            pixels = np.asarray(picture)
        regions = propose(pixels, settings.max_regions)
        features.append([describe(pixels, region, position=settings.position) for region in regions])
        boxes.append(np.array([region.box for region in regions], np.float64))
    return features, boxes


def _write_split(
    writer: DatasetWriter,
    split: str,
    scenes: SceneSplit,
    features: list[list[npt.NDArray[np.float32]]],
    boxes: list[npt.NDArray[np.float64]],
    standardise: Standardiser,
    settings: ScenesSource,
) -> None:
    n_images, dim = len(features), len(columns(position=settings.position))
    regions = np.zeros((n_images, settings.max_regions, dim), np.float32)
    box_array = np.zeros((n_images, settings.max_regions, 4), np.float32)
    counts = np.array([len(rows) for rows in features], np.int32)
    for row, count in enumerate(counts):
        regions[row, :count] = standardise(np.stack(features[row]))
        box_array[row, :count] = boxes[row] / np.tile(scenes.sizes[row], 2)
    pairs = true_pairs(scenes.scenes, scenes.statements)
    judged = judge_twins(scenes, pairs)
    writer.split(
        split,
        images=_image_table(scenes, split),
        captions=pd.DataFrame(
            {
                "caption_id": [str(number) for number in scenes.caption_ids],
                "image": scenes.caption_image,
                "text": scenes.texts,
            }
        ),
        shape=regions.shape,
        dtype=np.float32,
        blocks=[(regions, counts, box_array)],
        boxes=True,
        judged=judged,
        relevance=pairs,
        facts={
            "proposal_recall": recall(scenes.boxes, boxes),
            "objects": sum(len(scene.objects) for scene in scenes.scenes),
            "twin_captions": {kind: int((judged["kind"] == kind).sum()) // 2 for kind in KINDS},
            **false_negatives(scenes.caption_image, pairs, n_images),
        },
    )


def judge_twins(scenes: SceneSplit, pairs: tuple[Rows, Rows]) -> pd.DataFrame:
    """Captions that are false of the twin: a row with the own image (grade 1), then one with the twin (0)."""
    n_captions = len(scenes.texts)
    captions = np.arange(n_captions)
    twin = scenes.caption_image ^ 1  # twins are neighbours
    true_of = np.zeros((len(scenes.scenes), n_captions), bool)
    true_of[pairs] = True
    telling = captions[~true_of[twin, captions]]
    return pd.DataFrame(
        {
            "image": np.column_stack([scenes.caption_image, twin])[telling].ravel().astype(np.int32),
            "caption": telling.repeat(2).astype(np.int32),
            "grade": np.tile(np.array([1.0, 0.0], np.float32), len(telling)),
            "kind": [scenes.kinds[scenes.caption_image[k]] for k in telling.repeat(2)],
        }
    )


def false_negatives(caption_image: Rows, pairs: tuple[Rows, Rows], n_images: int) -> dict[str, Any]:
    """True pairs that the one-image-per-caption ground truth calls wrong, seen from either side.

    queries  how many images (captions) have at least one such pair
    mean     how many there are per image (caption)
    """
    image, caption = pairs
    wrong = image != caption_image[caption]
    facts: dict[str, Any] = {"true_pairs": len(image), "false_negative_pairs": int(wrong.sum())}
    for name, side, n_queries in (("i2t", image, n_images), ("t2i", caption, len(caption_image))):
        facts[f"false_negatives_{name}"] = {
            "queries": len(np.unique(side[wrong])),
            "mean": int(wrong.sum()) / n_queries,
        }
    return facts


def _image_table(scenes: SceneSplit, split: str) -> pd.DataFrame:
    """images.parquet: file names are relative to the dataset's folder, `twin` is a row of the same table."""
    n_images = len(scenes.files)
    return pd.DataFrame(
        {
            "image_id": [str(number) for number in scenes.image_ids],
            "file_name": [f"source/images/{split}/{file.name}" for file in scenes.files],
            "width": np.array([size[0] for size in scenes.sizes], np.int32),
            "height": np.array([size[1] for size in scenes.sizes], np.int32),
            "licence": LICENCE,
            "twin": (np.arange(n_images) ^ 1).astype(np.int32),
            "kind": scenes.kinds,
        }
    )


def _write_columns(path: Path, standardise: Standardiser, *, position: bool) -> None:
    """What the columns of regions.npy are and how they were standardised."""
    content = {
        "columns": columns(position=position),
        "mean": standardise.mean.tolist(),
        "deviation": standardise.deviation.tolist(),
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
