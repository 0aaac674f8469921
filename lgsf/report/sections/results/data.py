"""What a dataset holds: every number of its manifest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lgsf.data.layout import SPLITS
from lgsf.render.block import Block, Cell, finite, numbers, table_block, words
from lgsf.render.numbers import decimal

FACTS = {
    "images": "images",
    "captions": "captions",
    "mean_regions": "regions per image, mean",
    "n_regions": "regions per image, at most",
    "region_dim": "feature size",
    "objects": "objects drawn",
    "proposal_recall": "share of objects that a region covers",
    "true_pairs": "pairs of image and caption that are true",
    "false_negative_pairs": "of these counted as wrong (false negatives)",
    "false_negatives_i2t.queries": "images with a false negative",
    "false_negatives_i2t.mean": "false negatives per image",
    "false_negatives_t2i.queries": "captions with a false negative",
    "false_negatives_t2i.mean": "false negatives per caption",
    "checks.words_per_caption": "words per caption, mean",
    "checks.longest_caption": "words of the longest caption",
    "checks.letters_per_word": "letters per word, mean",
    "checks.letters_without_spaces": "share of letters of a script without spaces",
    "checks.unknown_words": "share of words that training did not show often enough",
    "checks.repeated_images": "images with the features of another one",
    "checks.images_also_in_train": "images that are also in train",
    "checks.images_also_in_dev": "images that are also in dev",
    "checks.repeated_captions": "captions that another image has too",
    "checks.captions_also_in_train": "captions that are also in train",
    "checks.captions_also_in_dev": "captions that are also in dev",
    "checks.caption_sets_also_in_train": "images with the very captions of one in train",
    "checks.caption_sets_also_in_dev": "images with the very captions of one in dev",
    "checks.cleaned_captions": "captions with invisible characters, cleaned",
}


def data_block(id_: str, caption: str, splits: Mapping[str, Mapping[str, Any]]) -> Block:
    """Every number that the manifest knows of the splits: one row per fact, one column per split."""
    facts = {split: flatten_numbers(splits[split]) for split in SPLITS if split in splits}
    found = dict.fromkeys(key for values in facts.values() for key in values)
    rows = []
    for name in [*(key for key in FACTS if key in found), *(key for key in found if key not in FACTS)]:
        cells = [Cell(FACTS.get(name, _plain(name)))]
        for values in facts.values():
            value = values.get(name, math.nan)
            places = 0 if value.is_integer() else 2 if abs(value) < 10 else 1
            cells.append(Cell(decimal(value, places), sort=finite(value)))
        rows.append(cells)
    return table_block(id_, caption, [*words("fact"), *numbers(*facts)], rows)


def _plain(name: str) -> str:
    """`captions_per_image.5` -> `captions per image: 5`."""
    return name.replace("_", " ").replace(".", ": ")


def flatten_numbers(values: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Numbers of a nested mapping under dotted names; text, flags and hashes are left out."""
    out: dict[str, float] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            out |= flatten_numbers(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            out[prefix + key] = float(value)
    return out
