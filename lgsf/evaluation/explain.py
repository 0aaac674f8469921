"""What a trained method looks at in the chosen pairs: its own attention, and what its score loses with a region.

`<split>/gallery.npz` holds, for n pairs of an image and a caption that is true of it:
  image, caption  (n,) int32 rows of the split;  n_regions  (n,) int32 valid regions
  score           (n,) float32;  region_effect  (n, n_regions) float32: score minus the score without the region
  words           (n, n_words) text, "" behind the last, where the method attends to words
  and the maps that the method gives (lgsf.models.base.Method.explain), under their names.
Values off the valid regions and words are NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lgsf.data.batches.batch import Batch
from lgsf.data.layout import Split
from lgsf.data.text import Tokenizer, Vocabulary
from lgsf.data.tokens import padded_captions
from lgsf.models.base import Method
from lgsf.runs.beside.chosen import MAPS, Rows, chosen_pairs
from lgsf.runs.origin import write_evaluated
from lgsf.system.errors import LgsfError


@torch.inference_mode()
def write_gallery(
    folder: Path,
    method: Method,
    dataset: str,
    split: Split,
    vocabulary: Vocabulary,
    *,
    device: torch.device,
    made_from: Mapping[str, Any],
) -> None:
    """Write `gallery.npz` of one split; `method` is in evaluation mode, made_from as lgsf.runs.origin has it.

    Raises LgsfError where the method explains itself in maps of another name or shape.
    """
    images, captions = chosen_pairs(dataset, split.name, split.caption_image)
    tokenizer = method.tokenizer(vocabulary)
    batch = pair_batch(split, tokenizer, images, captions).to(device)
    score, effect = region_effect(method, batch)
    arrays: dict[str, npt.NDArray[Any]] = {
        "image": images,
        "caption": captions,
        "n_regions": split.region_counts[images].astype(np.int32),
        "score": score,
        "region_effect": effect,
    }
    masks = {"r": batch.region_mask.cpu().numpy(), "w": batch.token_mask.cpu().numpy()}
    maps = method.explain(batch)
    for name, values in maps.items():
        arrays[name] = _checked(type(method).__name__, name, values, masks)
    if any("w" in MAPS[name] for name in maps):
        arrays["words"] = _words(split, tokenizer, captions, masks["w"].shape[1])
    write_evaluated(folder / "gallery.npz", arrays, made_from)


def pair_batch(split: Split, tokenizer: Tokenizer, images: Rows, captions: Rows) -> Batch:
    """Row k is image `images[k]` with caption `captions[k]` of the split, not augmented."""
    counts = split.region_counts[images]
    longest = int(counts.max())
    mask = np.arange(longest) < counts[:, None]
    regions = split.regions.read(images)[:, :longest].astype(np.float32) * mask[:, :, None]
    boxes = None
    if split.boxes is not None:
        boxes = torch.from_numpy(split.boxes.read(images)[:, :longest].astype(np.float32) * mask[:, :, None])
    tokens, token_mask = padded_captions(split, tokenizer, captions.astype(np.int64))
    return Batch(
        regions=torch.from_numpy(regions),
        region_mask=torch.from_numpy(mask),
        boxes=boxes,
        tokens=torch.from_numpy(tokens),
        token_mask=torch.from_numpy(token_mask),
        image_ids=torch.from_numpy(images.astype(np.int64)),
    )


def region_effect(method: Method, batch: Batch) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Scores (n,) of the pairs, and (n, n_regions) how much of it goes when a region is taken away.

    The regions behind the missing one move up, as if it had never been found. NaN where there is no region, or
    no other one. Works for every method: it asks only for scores.
    """
    n, longest = batch.region_mask.shape
    effect = np.full((n, longest), np.nan, np.float32)
    score = np.zeros(n, np.float32)
    for pair in range(n):
        count = int(batch.region_mask[pair].sum())
        # Row 0 keeps all regions, row j + 1 lacks region j; the last place is then empty.
        kept = [torch.arange(count), *(torch.tensor([r for r in range(count) if r != j]) for j in range(count))]
        kept = kept if count > 1 else kept[:1]
        order = torch.nn.utils.rnn.pad_sequence(kept, batch_first=True).to(batch.regions.device)
        lengths = torch.tensor([len(rows) for rows in kept], device=batch.regions.device)
        mask = torch.arange(count, device=lengths.device) < lengths[:, None]
        regions = _without(batch.regions[pair], order, mask)
        boxes = None if batch.boxes is None else _without(batch.boxes[pair], order, mask)
        words = int(batch.token_mask[pair].sum())
        texts = method.encode_texts(batch.tokens[pair : pair + 1, :words], batch.token_mask[pair : pair + 1, :words])
        scores = method.similarity(method.encode_images(regions, mask, boxes), texts)[:, 0].float().cpu().numpy()
        score[pair] = scores[0]
        if count > 1:
            effect[pair, :count] = scores[0] - scores[1:]
    return score, effect


def _without(values: Tensor, order: Tensor, mask: Tensor) -> Tensor:
    """Rows of (n_regions, dim) in each of the orders (k, count), zero off the mask (k, count): (k, count, dim)."""
    return values[order].masked_fill(~mask.unsqueeze(2), 0.0)


def _checked(
    method: str, name: str, values: Tensor, masks: dict[str, npt.NDArray[np.bool_]]
) -> npt.NDArray[np.float32]:
    """A map as float32 with NaN off its rows and columns."""
    if name not in MAPS:
        raise LgsfError(f"{method}.explain gives a map {name!r}; known are {', '.join(MAPS)}.")
    rows, columns = (masks[axis] for axis in MAPS[name])
    shape = (len(rows), rows.shape[1], columns.shape[1])
    if tuple(values.shape) != shape:
        raise LgsfError(f"{method}.explain gives {name} of shape {tuple(values.shape)}; it must be {shape}.")
    found: npt.NDArray[np.float32] = values.float().cpu().numpy().astype(np.float32)
    return np.where(rows[:, :, None] & columns[:, None, :], found, np.float32(np.nan))


def _words(split: Split, tokenizer: Tokenizer, captions: Rows, longest: int) -> npt.NDArray[np.str_]:
    """(n, longest) what each token of the captions stands for, as people read it."""
    rows = [tokenizer.tokens(text) for text in split.captions["text"].iloc[captions]]
    return np.array([[*row, *[""] * (longest - len(row))] for row in rows], np.str_)
