"""A dataset with photos for the runs of tests/support/synthetic.py, attention of its methods, and the album of both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from lgsf.data.text import Vocabulary
from lgsf.data.writer import DatasetWriter
from lgsf.runs.beside.chosen import chosen_pairs
from lgsf.system.files import write_arrays
from lgsf.system.hashes import sha256
from tests.support.synthetic import IMAGES, PER_IMAGE, write_results

HOSTILE = "<script>alert('caption')</script> & \"so\" on"
CHINESE = "一只狗在草地上奔跑"
REGIONS = 4
CAPTION_IMAGE = np.repeat(np.arange(IMAGES), PER_IMAGE)


def captions() -> list[str]:
    """Texts of the test split: every second one hostile, every third one Chinese, all different."""
    kinds = (HOSTILE, CHINESE, "a dog runs over the grass")
    return [f"{kinds[k % 3]} {k}" for k in range(IMAGES * PER_IMAGE)]


def write_dataset(root: Path, **columns: list[str]) -> None:
    """The dataset "toy" at `root`: the test split of the synthetic runs; `columns` of its images.parquet."""
    with DatasetWriter(root, name="toy", source={"kind": "precomp"}, protocol={"folds": 1}) as writer:
        writer.vocabulary(Vocabulary.build(["a dog runs"], min_count=1))
        for place, split in enumerate(("train", "dev", "test")):
            regions = np.ones((IMAGES, REGIONS, 2), np.float32)
            regions[..., 1] += IMAGES * place + np.arange(IMAGES)[:, None]  # no picture is another one
            boxes = np.tile(
                np.array([[0, 0, 1, 1], [0, 0, 0.5, 0.5], [0.5, 0, 1, 0.5], [0.1, 0.6, 0.4, 0.9]]), (IMAGES, 1, 1)
            )
            names = [f"image{k}" for k in range(IMAGES)]
            writer.split(
                split,
                images=pd.DataFrame({"image_id": names, "file_name": [f"{n}.jpg" for n in names], **columns}),
                captions=pd.DataFrame(
                    {
                        "caption_id": [f"caption{k}" for k in range(IMAGES * PER_IMAGE)],
                        "image": CAPTION_IMAGE.astype(np.int32),
                        "text": captions() if split == "test" else [f"{text} in {split}" for text in captions()],
                    }
                ),
                shape=regions.shape,
                dtype=np.float32,
                blocks=[(regions, np.full(IMAGES, REGIONS, np.int32), boxes.astype(np.float32))],
                boxes=True,
            )  # fmt: skip


def write_photos(folder: Path, *, noise: bool = False) -> None:
    """A small JPEG for every test image; noise does not shrink."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for k in range(IMAGES):
        pixels = rng.integers(0, 256, (30, 40, 3), np.uint8) if noise else np.full((30, 40, 3), 4 * k, np.uint8)
        Image.fromarray(pixels).resize((400, 300), Image.Resampling.NEAREST).save(folder / f"image{k}.jpg", quality=90)


def write_runs(root: Path, dataset: Path) -> Path:
    """The synthetic runs, as if they had been made on `dataset`; LGSF and VSE++ kept what they looked at."""
    results = write_results(root)
    for path in results.glob("toy/*/*/run.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"dataset_sha256": sha256(dataset / "dataset.json")}))
    write_look(results / "toy/lgsf/seed0/test/gallery.npz", graph=True)
    write_look(results / "toy/vsepp/seed0/test/gallery.npz", words=True)
    return results


def write_look(path: Path, *, graph: bool = False, words: bool = False) -> None:
    """gallery.npz of the chosen pairs: region 2 matters most and is heard most, "dog" looks at region 1."""
    images, rows = chosen_pairs("toy", "test", CAPTION_IMAGE)
    n = len(images)
    arrays: dict[str, Any] = {
        "image": images,
        "caption": rows,
        "n_regions": np.full(n, REGIONS, np.int32),
        "score": np.full(n, 0.75, np.float32),
        "region_effect": np.tile(np.array([0.1, -0.2, 0.4, 0.0], np.float32), (n, 1)),
    }
    if graph:
        one = np.array([[0.4, 0.1, 0.4, 0.1], [0.1, 0.1, 0.7, 0.1], [0.2, 0.2, 0.5, 0.1], [0.25] * 4], np.float32)
        arrays["region_region"] = np.tile(one, (n, 1, 1))
    if words:
        table = np.array([[0.25] * 4, [0.2, 0.3, 0.3, 0.2], [0.1, 0.7, 0.1, 0.1], [0.25] * 4], np.float32)
        arrays["words"] = np.array([["<start>", "a", "dog", "<end>"]] * n)
        arrays["word_region"] = np.tile(table, (n, 1, 1))
    write_arrays(path, arrays)
