"""Losses on a batch of matching pairs: hinge triplet (VSE++, Faghri et al. 2018) and the angular constraint.

The angular constraint (Wang et al., ICCV 2017, equations 4 and 7) limits the angle at the negative corner of
the triangle anchor, positive, negative. Over unit vectors, with t = tan(angle) and s the cosine,

    f(a, p, n) = 4 t^2 (s(a, n) + s(p, n)) - 2 (1 + t^2) s(a, p) + (2 - 6 t^2)

so it closes the triplet's triangle: s(p, n) is the side between two samples of one modality.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F


def plateau(batch_size: int, margin: float) -> float:
    """Hinge over hardest negatives when all embeddings coincide: each pair loses `margin` in both directions."""
    return 2 * batch_size * margin


def negative_pairs(image_ids: Tensor) -> Tensor:
    """(batch,) int64 -> (batch, batch) bool, True where two pairs show different images."""
    return image_ids.unsqueeze(1) != image_ids


@dataclass(frozen=True, kw_only=True)
class HardestNegatives:
    """Row numbers of the closest non-matching samples in the batch.

    caption  (batch,) int64, for each image the row of its hardest caption
    image    (batch,) int64, for each caption the row of its hardest image
    exists   (batch,) bool, False where the batch has no negative for this row
    """

    caption: Tensor
    image: Tensor
    exists: Tensor


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
    exists = negatives.any(1)
    with torch.no_grad():
        both = torch.stack([caption_score, image_score])
        score = both.masked_fill(~exists, 0.0).sum() / (2 * exists.sum()).clamp(min=1)
        terms = {"hinge": loss.detach(), "positive_score": positive.mean(), "hardest_score": score}
    return loss, terms, HardestNegatives(caption=caption, image=image, exists=exists)


def angular_constraint(
    images: Tensor,
    captions: Tensor,
    negatives: HardestNegatives,
    *,
    angle_degrees: float,
    form: Literal["soft", "hinge"],
) -> tuple[Tensor, dict[str, Tensor]]:
    """Sum over the batch of the angular term at the given negatives, the mean of both directions.

    images, captions (batch, dim) float32 of unit length. `soft` is log(1 + exp(f)) without f's constant;
    `hinge` is max(f, 0) with it, which for angles above 36 degrees is zero on most triplets.
    Returns the scalar term and, to log, how much of it is active: the share of f > 0, or the mean sigmoid(f).
    """
    squared = math.tan(math.radians(angle_degrees)) ** 2
    positive = (images * captions).sum(1)
    sums = []
    for negative in (captions[negatives.caption], images[negatives.image]):
        towards = ((images + captions) * negative).sum(1)  # s(a, n) + s(p, n)
        sums.append(4 * squared * towards - 2 * (1 + squared) * positive)
    f = torch.stack(sums)[:, negatives.exists]
    if form == "hinge":
        f = f + (2 - 6 * squared)
        values, active = f.clamp(min=0), (f > 0).float()
    else:
        values, active = F.softplus(f), torch.sigmoid(f)
    loss = values.sum() / 2
    share = active.detach().sum() / max(active.numel(), 1)
    return loss, {"angular": loss.detach(), "angular_active": share}
