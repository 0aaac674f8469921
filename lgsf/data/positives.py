"""What counts as right beyond the own pair: sets of positives for a split, or why there is none.

true  every pair of image and caption that is really true, where the dataset knows (Scenes)
eccv  ECCV Caption: positives verified by people on a subset of COCO's 5K test split (Chun et al., ECCV 2022)
cxc   Crisscrossed Captions: pairs of the same split with a graded similarity above its threshold (Parekh et al.,
      EACL 2021)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lgsf.data.coco_positives import coco_pairs, coco_rows
from lgsf.data.layout import Split
from lgsf.metrics.relevance import Pairs, Positives, Rows
from lgsf.system.files import read_arrays
from lgsf.system.hashes import sha256

SETS = ("true", "eccv", "cxc")


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
