"""Small photos with captions in one's own table: a folder, a CSV, and the settings of a dataset made from them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from lgsf.data.photos.shards import Shard

COLOURS = ("red", "green", "blue", "white", "yellow")
SPLITS = (("train", 8), ("dev", 4), ("test", 4))


def write_photos(folder: Path, *, splits: tuple[tuple[str, int], ...] = SPLITS, captions: int = 2) -> Path:
    """Write `folder/photos/*.jpg` of several sizes and `folder/captions.csv`; returns `folder`."""
    rng = np.random.default_rng(0)
    photos = folder / "photos"
    photos.mkdir(parents=True)
    rows = []
    for split, count in splits:
        for number in range(count):
            colour, shape = COLOURS[int(rng.integers(5))], ("ellipse", "rectangle")[int(rng.integers(2))]
            width, height = 48 + 8 * int(rng.integers(4)), 48 + 8 * int(rng.integers(4))
            noise = rng.integers(0, 90, (height, width, 3), np.uint8)
            picture = Image.fromarray(noise)
            x, y = (int(v) for v in rng.integers(2, 20, 2))
            getattr(ImageDraw.Draw(picture), shape)((x, y, x + 24, y + 20), fill=colour)
            picture.save(photos / f"{split}{number}.jpg", quality=90)
            rows += [(f"{split}{number}.jpg", f"A {colour} {shape} in view {k}", split) for k in range(captions)]
    with (folder / "captions.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("image", "caption", "split"), *rows])
    return folder


def photo_settings(folder: Path, model: Path, **extract: Any) -> dict[str, Any]:
    """A dataset's section of the configuration for what `write_photos` wrote."""
    wanted = {"kind": "regions", "model": str(model), "top_k": 6, "batch_size": 3, "workers": 0, **extract}
    return {
        "source": "photos",
        "images": str(folder / "photos"),
        "annotations": {"format": "table", "path": str(folder / "captions.csv")},
        "extract": wanted,
        "min_count": 1,
    }


def shard(root: Path, number: int = 1, of: int = 1, *, splits: tuple[tuple[str, int], ...] = SPLITS) -> Shard:
    """Shard `number` of `of` under the dataset's folder `root`, of the photos that `write_photos` wrote."""
    return Shard(root, number, of, dict(splits))


def extracted(root: Path) -> dict[str, npt.NDArray[Any]]:
    """File name -> the rows of all photos under the dataset's folder `root`, in the order train, dev, test."""
    names = sorted(path.name for path in (root / "shards" / "train").glob("*.npy"))
    return {
        name: np.concatenate([np.load(root / "shards" / split / name) for split in ("train", "dev", "test")])
        for name in names
    }
