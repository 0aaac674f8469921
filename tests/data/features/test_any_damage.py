"""Feature files cut off anywhere and with bytes flipped anywhere: a sentence or features, never a traceback."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from lgsf.data.features.prepare import open_features
from lgsf.data.features.settings import FeatureSettings
from lgsf.system.errors import LgsfError
from tests.support.feature_files import write_folder, write_hdf5, write_tsv

TRIALS = 60
FORMATS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "tsv": write_tsv,
    "npz": lambda folder: write_folder(folder, archive=True),
    "npy": lambda folder: write_folder(folder, archive=False),
    "per_image": lambda folder: write_hdf5(folder, "per_image"),
    "stacked": lambda folder: write_hdf5(folder, "stacked"),
}


@pytest.mark.parametrize("format_", FORMATS)
def test_any_damage(tmp_path: Path, format_: str) -> None:
    written = FORMATS[format_](tmp_path)
    settings = TypeAdapter(FeatureSettings).validate_python(written)
    path = Path(written["paths"][-1]) if "paths" in written else min(Path(written["path"]).iterdir())
    whole, rng = path.read_bytes(), random.Random(format_)
    sentences = []
    for trial in range(TRIALS):
        path.unlink()  # the HDF5 library knows an open file by its inode and would show what it held
        path.write_bytes(damaged(whole, trial, rng))
        try:
            reader = open_features(settings)
            for key in reader.keys:
                shape, found = reader.shape(key), reader.read(key)
                assert found.regions.shape == (shape.n_regions, shape.dim)
                assert found.regions.dtype in (np.float16, np.float32)
        except LgsfError as error:
            sentences.append(str(error))
    assert [text for text in sentences if path.name not in text or "\n" in text] == []
    assert len(sentences) >= TRIALS // 3


def damaged(whole: bytes, trial: int, rng: random.Random) -> bytes:
    """The file cut off (every third trial), or with one to thirty bytes at random."""
    if trial % 3 == 0:
        return whole[: rng.randrange(len(whole))]
    content = bytearray(whole)
    for _ in range(rng.choice([1, 4, 30])):
        content[rng.randrange(len(content))] = rng.randrange(256)
    return bytes(content)
