"""Boxes and what lies in them, in plain torch: intersection over union, class-agnostic NMS, ROI-align.

ROI-align is that of Mask R-CNN (He et al. 2017, https://arxiv.org/abs/1703.06870) in its aligned form: the centre
of the first cell of a map is at 0.5, bins are averaged over SAMPLES x SAMPLES bilinear samples.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

SAMPLES = 2  # along each side of a bin


def corners(boxes: Tensor) -> Tensor:
    """(..., 4) centre x, centre y, width, height to x0 y0 x1 y1, cut off at the picture's edges 0..1."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([centre - half, centre + half], dim=-1).clamp(0, 1)


def overlap(boxes: Tensor) -> Tensor:
    """(n, n) intersection over union of boxes (n, 4), x0 y0 x1 y1; 0 for boxes without an area."""
    low = torch.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(dim=2)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    union = areas[:, None] + areas[None, :] - shared
    return torch.where(union > 0, shared / union.clamp(min=1e-12), 0.0)


def nms(boxes: Tensor, scores: Tensor, *, threshold: float, top_k: int) -> Tensor:
    """Rows of the boxes to keep, best score first, at most `top_k`: greedy, whatever their classes; ties by row."""
    order = scores.argsort(descending=True, stable=True)
    over = (overlap(boxes[order]) > threshold).tolist()
    kept: list[int] = []
    for place in range(len(order)):
        if not any(over[place][earlier] for earlier in kept):
            kept.append(place)
            if len(kept) == top_k:
                break
    return order[torch.tensor(kept, dtype=torch.long, device=order.device)]


def roi_align(feature_map: Tensor, boxes: Tensor, *, bins: int) -> Tensor:
    """(n, dim, bins, bins) of boxes (n, 4) in cells of one map (dim, height, width).

    Samples outside the map take the value at its edge.
    """
    dim, height, width = feature_map.shape
    steps = (torch.arange(bins * SAMPLES, device=boxes.device) + 0.5) / (bins * SAMPLES)
    x, y = (boxes[:, k, None] + (boxes[:, k + 2, None] - boxes[:, k, None]) * steps for k in (0, 1))
    points = torch.stack(  # (n, bins * SAMPLES rows, bins * SAMPLES columns, 2) in -1..1 over the map
        [
            (2 * x / width - 1)[:, None, :].expand(-1, len(steps), -1),
            (2 * y / height - 1)[:, :, None].expand(-1, -1, len(steps)),
        ],
        dim=3,
    )
    flat = points.reshape(1, -1, len(steps), 2)
    sampled = functional.grid_sample(feature_map[None], flat, padding_mode="border", align_corners=False)
    sampled = sampled.reshape(dim, len(boxes), len(steps), len(steps)).transpose(0, 1)
    return functional.avg_pool2d(sampled, SAMPLES)
