"""ROI-align, NMS and overlap against naive loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from lgsf.extract.boxes import SAMPLES, corners, nms, overlap, roi_align

Floats = npt.NDArray[Any]


def naive_iou(a: list[float], b: list[float]) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union if union > 0 else 0.0


def naive_nms(boxes: list[list[float]], scores: list[float], threshold: float, top_k: int) -> list[int]:
    left = sorted(range(len(boxes)), key=lambda k: (-scores[k], k))
    kept: list[int] = []
    while left and len(kept) < top_k:
        best = left.pop(0)
        kept.append(best)
        left = [k for k in left if naive_iou(boxes[best], boxes[k]) <= threshold]
    return kept


def naive_sample(plane: Floats, x: float, y: float) -> float:
    """Bilinear value at (x, y), the centre of cell (0, 0) being (0.5, 0.5); outside the edge goes on."""
    height, width = plane.shape
    x, y = min(max(x - 0.5, 0.0), width - 1.0), min(max(y - 0.5, 0.0), height - 1.0)
    x0, y0 = math.floor(x), math.floor(y)
    x1, y1 = min(x0 + 1, width - 1), min(y0 + 1, height - 1)
    fx, fy = x - x0, y - y0
    top = (1 - fx) * plane[y0, x0] + fx * plane[y0, x1]
    return float((1 - fy) * top + fy * ((1 - fx) * plane[y1, x0] + fx * plane[y1, x1]))


def naive_roi_align(feature_map: Floats, box: list[float], bins: int) -> Floats:
    out = np.zeros((len(feature_map), bins, bins))
    width, height = (box[2] - box[0]) / bins, (box[3] - box[1]) / bins
    for channel, row, column in np.ndindex(out.shape):
        values = [
            naive_sample(
                feature_map[channel],
                box[0] + width * (column + (i + 0.5) / SAMPLES),
                box[1] + height * (row + (j + 0.5) / SAMPLES),
            )
            for j in range(SAMPLES)
            for i in range(SAMPLES)
        ]
        out[channel, row, column] = sum(values) / len(values)
    return out


@pytest.mark.parametrize("bins", [1, 2, 7])
@pytest.mark.parametrize("shape", [(3, 5, 8), (2, 1, 1), (1, 9, 2)])
def test_roi_align_is_the_naive_one(bins: int, shape: tuple[int, int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    feature_map = torch.randn(shape, generator=generator, dtype=torch.float64)
    scale = torch.tensor([shape[2], shape[1]] * 2, dtype=torch.float64)
    low, size = torch.rand(2, 6, 2, generator=generator, dtype=torch.float64) * 0.8
    boxes = torch.cat([low, (low + size).clamp(max=1)], dim=1) * scale
    boxes[0] = torch.tensor([0.0, 0.0, 1.0, 1.0]) * scale  # the whole map
    boxes[1] = torch.tensor([0.3, 0.3, 0.30001, 0.30001]) * scale  # smaller than a cell
    found = roi_align(feature_map, boxes, bins=bins)
    assert found.shape == (6, shape[0], bins, bins)
    for box, own in zip(boxes.tolist(), found, strict=True):
        np.testing.assert_allclose(own.numpy(), naive_roi_align(feature_map.numpy(), box, bins), atol=1e-6)


def test_roi_align_of_a_ramp_is_its_middle() -> None:
    """A map that grows with x and y has in every box inside it the value of the box's centre."""
    y, x = torch.meshgrid(torch.arange(10.0), torch.arange(12.0), indexing="ij")
    ramp = torch.stack([x + 0.5, y + 0.5])  # the coordinate itself
    box = torch.tensor([[2.25, 3.5, 9.75, 8.0]])
    torch.testing.assert_close(roi_align(ramp, box, bins=3).mean(dim=(2, 3)), torch.tensor([[6.0, 5.75]]))


def test_nms_is_the_naive_one() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        low = rng.random((30, 2)) * 0.7
        boxes = np.concatenate([low, low + 0.05 + 0.3 * rng.random((30, 2))], axis=1)
        scores = rng.integers(0, 10, 30) / 10  # many ties
        threshold, top_k = float(rng.random()), int(rng.integers(1, 31))
        found = nms(torch.tensor(boxes), torch.tensor(scores), threshold=threshold, top_k=top_k)
        assert found.tolist() == naive_nms(boxes.tolist(), scores.tolist(), threshold, top_k)


def test_overlap_is_the_naive_one() -> None:
    rng = np.random.default_rng(1)
    low = rng.random((12, 2))
    boxes = np.concatenate([low, low + rng.random((12, 2))], axis=1)
    boxes[3, 2:] = boxes[3, :2]  # no area
    found = overlap(torch.tensor(boxes)).numpy()
    expected = [[naive_iou(a, b) for b in boxes.tolist()] for a in boxes.tolist()]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_corners_stay_in_the_picture() -> None:
    boxes = torch.tensor([[0.5, 0.5, 0.2, 0.4], [0.0, 1.0, 0.5, 0.5]])
    torch.testing.assert_close(corners(boxes), torch.tensor([[0.4, 0.3, 0.6, 0.7], [0.0, 0.75, 0.25, 1.0]]))
