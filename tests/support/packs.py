"""Small feature packs for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lgsf.data.precomp.settings import PrecompSource

SPLITS = {"train": 7, "dev": 4, "test": 4}
REGIONS, DIM = 3, 5


def features(prefix: str, dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
    """(n_images, REGIONS, DIM); image i has 1 + i % REGIONS regions."""
    n = SPLITS[prefix]
    values = np.random.default_rng(len(prefix)).normal(size=(n, REGIONS, DIM)).astype(dtype)
    values[np.arange(REGIONS) >= (1 + np.arange(n) % REGIONS)[:, None]] = 0
    return values


def captions(prefix: str, per_image: int) -> list[str]:
    """`per_image` lines per image; every word of dev and test but "a" is one that training never has."""
    return [f"a {prefix}dog number {i} runs {k}" for i in range(SPLITS[prefix]) for k in range(per_image)]


def write_pack(folder: Path, *, per_image: int = 2, dtype: npt.DTypeLike = np.float32) -> Path:
    """A pack whose train images are stored once and whose dev and test images are repeated."""
    folder.mkdir()
    for prefix in SPLITS:
        values = features(prefix, dtype)
        np.save(folder / f"{prefix}_ims.npy", values if prefix == "train" else values.repeat(per_image, axis=0))
        (folder / f"{prefix}_caps.txt").write_text("\n".join(captions(prefix, per_image)) + "\n", "utf-8")
    return folder


def settings(folder: Path, **changes: Any) -> PrecompSource:
    """Settings for `write_pack`."""
    return PrecompSource(
        **{"source": "precomp", "path": str(folder), "captions_per_image": 2, "min_count": 1, **changes}
    )
