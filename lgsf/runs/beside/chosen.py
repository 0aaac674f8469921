"""Which questions a gallery shows, drawn from the names of dataset and split and never from a model; which maps."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

EACH = 4  # questions of either direction
MAPS = {"region_region": "rr", "word_region": "wr", "region_word": "rw"}  # what rows and columns of a map stand for
Rows = npt.NDArray[np.int32]


def chosen_pairs(dataset: str, split: str, caption_image: npt.NDArray[np.integer[Any]]) -> tuple[Rows, Rows]:
    """Image rows and caption rows (n_pairs,) int32 of the questions, the same for every method and seed.

    The first half are images that ask for captions, each with the first of its own; the second half are
    captions that ask for an image, each with its own. No image occurs twice while there are enough of them.
    """
    images = np.unique(caption_image)
    each = min(EACH, max(1, len(images) // 2))
    digest = hashlib.sha256(f"{dataset}/{split}".encode()).digest()
    generator = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    drawn = generator.permutation(images)
    asking, asked = drawn[:each], drawn[-each:]
    first = [np.flatnonzero(caption_image == image)[0] for image in asking]
    some = [generator.choice(np.flatnonzero(caption_image == image)) for image in asked]
    return np.concatenate([asking, asked]).astype(np.int32), np.array([*first, *some], np.int32)
