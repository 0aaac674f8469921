"""Triplet loss with distance-weighted negatives (Wu et al., Sampling Matters, ICCV 2017), across modalities.

On a sphere of many dimensions most points lie at distance sqrt(2). Drawing negatives with the inverse of that
density offers all distances alike, instead of the hardest or the typical ones.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lgsf.models.kernels import forms
from lgsf.models.layers.losses import negative_pairs, positive_pairs

NEAREST = 0.5  # closer negatives are drawn as if at this distance


def distance_weighted_triplet(
    scores: Tensor, image_ids: Tensor, *, margin: float, farthest: float, sphere_dim: int = 512
) -> tuple[Tensor, dict[str, Tensor]]:
    """Sum of the margin violations over all positive pairs and both directions, one drawn negative each.

    scores (..., batch, batch) float32 cosines of row images and column captions, one matrix or several whose losses
    come back as (...); image_ids (batch,) int64: all pairs of one image are positives. Negatives beyond the distance
    `farthest` are never drawn; an anchor without a negative within reach contributes nothing. Draws from torch's global
    generator of the device.
    """
    positive = ~negative_pairs(image_ids)
    pairs = positive_pairs(image_ids, itself=True)
    options = (positive, pairs, margin, farthest, sphere_dim)
    if forms.blocked(scores):
        loss = _one_direction(scores, *options)
        loss = loss + _one_direction(scores.mT, *options)
    else:
        loss = _one_direction(torch.stack([scores, scores.mT]), *options).sum(0)
    return loss, {"triplet": loss.detach()}


def _one_direction(
    scores: Tensor, positive: Tensor, pairs: tuple[Tensor, Tensor], margin: float, farthest: float, sphere_dim: int
) -> Tensor:
    anchors, matches = pairs
    with torch.no_grad():
        squared = 2 - 2 * scores
        weights, distance = _log_weights(squared, sphere_dim), squared.clamp(min=0).sqrt()
        weights = weights.masked_fill(positive | (distance >= farthest), -math.inf).index_select(-2, anchors)
        reachable = (weights > -math.inf).any(-1)
        # The largest of weight / exponential noise is a draw in proportion to the weights.
        drawn = (weights - torch.empty_like(weights).exponential_().log()).argmax(-1)
    if scores.ndim == 2:
        negative_score, positive_score = scores[anchors, drawn], scores[anchors, matches]
    else:
        both = torch.stack([drawn, matches.expand_as(drawn)], -1)
        negative_score, positive_score = scores.index_select(-2, anchors).gather(-1, both).unbind(-1)
    violations = (margin + negative_score - positive_score).clamp(min=0)
    return violations.masked_fill(~reachable, 0.0).sum(-1)


def log_weights(scores: Tensor, sphere_dim: int) -> Tensor:
    """Log of the inverse density of pairwise distances on the unit sphere (equation 2 of the paper), up to a constant."""
    return _log_weights(2 - 2 * scores, sphere_dim)


def _log_weights(squared: Tensor, sphere_dim: int) -> Tensor:
    distance = squared.clamp(min=NEAREST**2).sqrt()
    cap = (1 - 0.25 * distance.square()).clamp(min=1e-8)  # zero for opposite points
    return (2.0 - sphere_dim) * distance.log() - (sphere_dim - 3.0) / 2 * cap.log()
