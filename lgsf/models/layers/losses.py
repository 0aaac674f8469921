"""The hinge triplet loss on a batch of matching pairs (VSE++, Faghri et al., BMVC 2018)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lgsf.data.batches.host import on_host, upload


def plateau(batch_size: int, margin: float) -> float:
    """Hinge over hardest negatives when all embeddings coincide: each pair loses `margin` in both directions."""
    return 2 * batch_size * margin


def negative_pairs(image_ids: Tensor) -> Tensor:
    """(batch,) int64 -> (batch, batch) bool, True where two pairs show different images."""
    return image_ids.unsqueeze(1) != image_ids


def several_images(image_ids: Tensor) -> bool:
    """Whether a batch has negatives: as soon as it shows two images, each of its pairs has one."""
    ids = on_host(image_ids)
    return bool((ids != ids[:1]).any())


def positive_pairs(image_ids: Tensor, *, itself: bool) -> tuple[Tensor, Tensor]:
    """Rows and columns (n_pairs,) int64 of the pairs of a batch that show one image, row after row.

    `itself` counts every row as a pair of its own. They are found on the host: how many there are decides shapes.
    """
    ids = on_host(image_ids)
    same = ids.unsqueeze(1) == ids
    if not itself:
        same.fill_diagonal_(False)
    pairs = torch.stack(same.nonzero(as_tuple=True))
    one, other = upload(pairs, image_ids.device)
    return one, other


@dataclass(frozen=True, kw_only=True)
class HardestNegatives:
    """Row numbers of the closest non-matching samples in the batch.

    caption  (batch,) int64, for each image the row of its hardest caption
    image    (batch,) int64, for each caption the row of its hardest image
    exist    False where the batch has no negative for any row: all its pairs show one image
    """

    caption: Tensor
    image: Tensor
    exist: bool


def hinge_triplet(
    scores: Tensor, image_ids: Tensor, *, margin: float, hardest: bool
) -> tuple[Tensor, dict[str, Tensor], HardestNegatives]:
    """Sum over the batch of the margin violations in both directions.

    scores (batch, batch) float32: image of row i with caption of column j; image_ids (batch,) int64.
    `hardest` takes each query's hardest negative alone, otherwise all violations are summed.
    Returns the scalar loss, detached scalars to log, and the hardest negatives.
    """
    negatives = negative_pairs(image_ids)
    positive = scores.diagonal()
    candidates = scores.masked_fill(~negatives, -math.inf)
    caption_score, caption = candidates.max(dim=1)
    image_score, image = candidates.max(dim=0)
    if hardest:
        violations = torch.stack([caption_score - positive, image_score - positive])
    else:
        violations = torch.stack([candidates - positive.unsqueeze(1), candidates - positive])
    loss = (margin + violations).clamp(min=0).sum()
    exist = several_images(image_ids)
    with torch.no_grad():
        score = (
            torch.stack([caption_score, image_score]).sum() / (2 * len(image_ids)) if exist else torch.zeros_like(loss)
        )
        terms = {"hinge": loss.detach(), "positive_score": positive.mean(), "hardest_score": score}
    return loss, terms, HardestNegatives(caption=caption, image=image, exist=exist)
