"""Made-up runs of the shape of COCO: 5,000 images in five folds, recalls planted to the tenth of a point."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

IMAGES, FOLDS, PER_IMAGE = 5000, 5, 5
SHIFT = (-0.2, 0.0, 0.2)  # points that seed 0, 1, 2 lie above what was asked for
# R@1, R@5, R@10 of i2t, then of t2i
Recalls = tuple[float, float, float, float, float, float]


def planted_ranks(queries: int, recalls: tuple[float, ...], seed: int) -> npt.NDArray[np.int32]:
    """(queries,) 0-based ranks with exactly these R@1, R@5 and R@10 in percent, in random order."""
    first, five, ten = (round(recall * queries / 100) for recall in recalls)
    ranks = np.repeat([0, 1, 5, 10], [first, five - first, ten - five, queries - ten]).astype(np.int32)
    return np.random.default_rng(seed).permutation(ranks)


def write_coco_run(
    root: Path,
    method: str,
    recalls: Recalls,
    *,
    seed: int,
    text: str | None = "BiGRU",
    kind: str = "trained",
    dataset: str = "coco",
    images: int = IMAGES,
    folds: int = FOLDS,
    record: Mapping[str, Any] | None = None,
) -> Path:
    """run.json, test/ranks.npz and an empty test/top.npz: the recalls of the folds are `recalls` + SHIFT[seed].

    Ranks among all images are ten times those inside a fold: right answers stay where they are.
    """
    folder = root / dataset / method / f"seed{seed}"
    (folder / "test").mkdir(parents=True)
    shifted = [value + SHIFT[seed] for value in recalls]
    i2t = planted_ranks(images, tuple(shifted[:3]), seed)
    t2i = planted_ranks(images * PER_IMAGE, tuple(shifted[3:]), seed + 10)
    spread = 10 if folds > 1 else 1
    np.savez(
        folder / "test" / "ranks.npz",
        image_id=np.arange(images).astype(np.str_),
        caption_id=np.arange(images * PER_IMAGE).astype(np.str_),
        caption_image=np.repeat(np.arange(images, dtype=np.int32), PER_IMAGE),
        image_fold=np.repeat(np.arange(folds, dtype=np.int32), images // folds),
        i2t=spread * i2t,
        t2i=spread * t2i,
        i2t_fold=i2t,
        t2i_fold=t2i,
        protocol=json.dumps({"folds": folds, "split": "test", "ties": "against"}),
    )
    np.savez(folder / "test" / "top.npz", i2t=np.zeros((0, 0), np.int32))
    facts = {
        **{"schema_version": 1, "kind": kind, "dataset": dataset, "method": method, "title": method.upper()},
        **{"seed": seed, "text_encoder": text, "dataset_sha256": "da7a" * 16, "device": {"type": "cpu"}},
        "data": {
            "source": {"kind": "precomp", "features": "BUTD"},
            "protocol": {"folds": folds},
            "splits": {s: {"images": images, "captions": images * PER_IMAGE} for s in ("train", "dev", "test")},
        },
        **{"started": "2026-03-01T10:00:00+00:00", "ended": "2026-03-01T11:00:00+00:00", "seconds": 3600.0},
    }
    (folder / "run.json").write_text(json.dumps(facts | dict(record or {})))
    return folder
