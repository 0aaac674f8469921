"""Batches in which the images of one group meet: twins, near copies, whatever a column of the images says.

A hardest negative is as hard as the batch allows. Where the difference that is to be learned lies between few images,
shuffled batches hardly ever hold two of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lgsf.data.layout import Split
from lgsf.system.errors import LgsfError

Ints = npt.NDArray[np.int64]
PARTNER = "twin"  # holds the row of another image of the split; every other column holds labels


def image_groups(split: Split, column: str) -> Ints:
    """(n_images,) int64: the group of each image, from a column of images.parquet.

    Images with equal values make a group; `twin` names each image's partner instead. An image without a value is a
    group of its own. Raises LgsfError if there is no such column.
    """
    if column not in split.images:
        raise LgsfError(
            f"training.group is {column!r} and images.parquet of split {split.name} has no such column: "
            f"name one of {', '.join(map(str, split.images.columns))}, or leave it out."
        )
    values = split.images[column]
    rows = np.arange(len(values))
    if column == PARTNER:
        return np.minimum(rows, _partners(values, split.name))
    labels = pd.factorize(values)[0]
    return np.where(labels < 0, labels.max(initial=-1) + 1 + rows, labels).astype(np.int64)


def _partners(values: pd.Series[Any], split: str) -> Ints:
    rows = np.arange(len(values))
    partners = values.to_numpy(np.float64, na_value=np.nan)
    partners = np.where(np.isnan(partners), rows, partners).astype(np.int64)
    fits = (partners >= 0) & (partners < len(rows))
    if not fits.all() or (partners[partners] != rows).any():
        raise LgsfError(
            f"images.parquet of split {split}: {PARTNER!r} must name the row of a partner that names it in turn; "
            "mend the column or leave training.group out."
        )
    return partners


def together(order: Ints, images: Ints, groups: Ints) -> Ints:
    """`order` (n,) of captions, changed so that the images of a group stand side by side.

    images  (n_captions,) int64, the image of each caption; groups (n_images,) int64

    The k-th caption, in `order`, of every image of a group forms a sheaf, so an image stands in it once: its own
    captions are no negatives of each other. Sheaves come in the order of their first captions, which decides all that
    is random. A batch may cut a sheaf; with batches of a multiple of the sheaves' size none is cut.
    """
    image = images[order]
    turn = _occurrence(image)
    keys = groups[image] * (turn.max(initial=0) + 1) + turn
    _, first, sheaf = np.unique(keys, return_index=True, return_inverse=True)
    return order[np.argsort(first[sheaf], kind="stable")]


def _occurrence(values: Ints) -> Ints:
    """(n,) int64: how many equal values stand before each."""
    by_value = np.argsort(values, kind="stable")
    ordered = values[by_value]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    lengths = np.diff(np.r_[starts, len(values)])
    out = np.empty(len(values), np.int64)
    out[by_value] = np.arange(len(values)) - np.repeat(starts, lengths)
    return out
