"""What counts as right beyond the own pair: sets of positives for a split, or why there is none.

true  every pair of image and caption that is really true, where the dataset knows (Scenes)
eccv  ECCV Caption: positives verified by people on a subset of COCO's 5K test split (Chun et al., ECCV 2022)
cxc   Crisscrossed Captions: pairs of the same split with a graded similarity above its threshold (Parekh et al.,
      EACL 2021)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lgsf.data.coco_positives import coco_pairs, coco_rows
from lgsf.data.layout import Split, sha256
from lgsf.files import read_arrays

SETS = ("true", "eccv", "cxc")
Rows = npt.NDArray[np.int64]
Pairs = tuple[Rows, Rows]


@dataclass(frozen=True)
class Positives:
    """One set: pairs (query row, candidate row) of either direction, sorted by query, none twice.

    i2t  queries are images, candidates captions; t2i the other way round. Only queries with a pair are asked.
    A candidate row at or behind the end of the gallery cannot be found, and counts in R all the same.
    """

    i2t: Pairs
    t2i: Pairs
    source: Mapping[str, Any]


def positives_of(split: Split, folder: Path) -> tuple[dict[str, Positives], dict[str, str]]:
    """(sets by name, reason by name of a set that is not there); `folder` is the split's in the dataset."""
    found: dict[str, Positives] = {}
    absent: dict[str, str] = {}
    path = folder / "relevance.npz"
    if path.is_file():
        pairs = read_arrays(path, hint="prepare the dataset again")
        image, caption = pairs["image"].astype(np.int64), pairs["caption"].astype(np.int64)
        found["true"] = Positives(_sorted(image, caption), _sorted(caption, image), {"relevance.npz": sha256(path)})
    else:
        absent["true"] = "the dataset does not say which captions are true of which images"
    rows = coco_rows(split)
    if isinstance(rows, str):
        return found, absent | {"eccv": rows, "cxc": rows}
    for name in ("eccv", "cxc"):
        sides, source = coco_pairs(name, rows)
        found[name] = Positives(_sorted(*sides["i2t"]), _sorted(*sides["t2i"]), source)
    return found, absent


def _sorted(query: Rows, candidate: Rows) -> Pairs:
    """Pairs by query, then candidate, each once."""
    pairs = np.unique(np.column_stack([query, candidate]).astype(np.int64), axis=0)
    return pairs[:, 0].copy(), pairs[:, 1].copy()
