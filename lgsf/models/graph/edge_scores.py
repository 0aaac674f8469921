"""GATv2's score of every edge of a complete graph (Brody et al., ICLR 2022, eq. 7), without the tensor of all sums.

The score of the edge from region j to region i is a' leaky_relu(l_j + r_i) in each head. With slope s,

    leaky_relu(l + r) = s (l + r) + (1 - s) max(l + r, 0)   and   max(l + r, 0) = max(l, -r) + r,

so the score is two terms that belong to one region each, and the sum over channels of a max(l_j, -r_i). On a CPU
that sum is taken for one i after the other: three passes over a tensor of the size of l that stays in the cache,
four in the gradient. On a GPU the plain form is compiled: one kernel, four for the gradient. Neither ever makes the
tensor of (images, heads, regions, regions, channels) (benchmarks/blocks.py compares with the plain form and with the
same sum as an L1 distance by `torch.cdist`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from lgsf.models.kernels import forms

SLOPE = 0.2  # of leaky_relu, as published

_BLOCK_ELEMENTS = 2**17  # per block on the CPU: a few such tensors fit into the second-level cache
_SHORTEST_RUN = 16  # images per block at least: the innermost axis, one vector register of float32


def edge_scores_v2(sources: Tensor, targets: Tensor, attention: Tensor) -> Tensor:
    """Scores of all edges.

    sources l and targets r (n, n_regions, dim), attention a (heads, dim / heads) float32
    -> (n, heads, n_regions, n_regions): [.., i, j] = a' leaky_relu(l_j + r_i) over the channels of a head.
    """
    if forms.fusible(sources):
        scores: Tensor = _Compiled.apply(sources, targets, attention)  # type: ignore[no-untyped-call]
        return scores
    from_source = SLOPE * along_heads(sources, attention).unsqueeze(2)
    from_target = along_heads(targets, attention).unsqueeze(3)
    largest: Tensor = _WeightedMaximum.apply(sources, -targets, attention)  # type: ignore[no-untyped-call]
    return from_source + from_target + (1 - SLOPE) * largest


def along_heads(x: Tensor, vectors: Tensor) -> Tensor:
    """Each head's channels times its vector: (n, n_regions, dim), (heads, dim / heads) -> (n, heads, n_regions)."""
    blocks = vectors.unsqueeze(2) * torch.eye(len(vectors), device=x.device).unsqueeze(1)
    return (x @ blocks.flatten(0, 1)).transpose(1, 2)


def plain_scores(sources: Tensor, targets: Tensor, attention: Tensor) -> Tensor:
    """`edge_scores_v2` as it is written, to be compiled: its largest tensor holds every sum of two regions."""
    left, right = (x.reshape(*x.shape[:2], *attention.shape) for x in (sources, targets))
    scores = (F.leaky_relu(left.unsqueeze(1) + right.unsqueeze(2), SLOPE) * attention).sum(4)  # (n, i, j, heads)
    return scores.permute(0, 3, 1, 2)


def plain_gradient(sources: Tensor, targets: Tensor, attention: Tensor, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The gradient of sources, targets and attention from that of the scores, to be compiled."""
    left, right = (x.reshape(*x.shape[:2], *attention.shape) for x in (sources, targets))
    upstream = grad.permute(0, 2, 3, 1).unsqueeze(4)
    slopes = upstream * torch.where(
        left.unsqueeze(1) + right.unsqueeze(2) > 0, 1.0, SLOPE
    )  # (n, i, j, heads, channels)
    to_sources, to_targets = slopes.sum(1), slopes.sum(2)
    to_attention = (left * to_sources + right * to_targets).sum((0, 1))
    return (to_sources * attention).flatten(2), (to_targets * attention).flatten(2), to_attention


class _Compiled(torch.autograd.Function):
    """Scores and their gradient in one kernel or few; nothing of the size of all sums is written or kept."""

    @staticmethod
    @forms.float32_forward
    def forward(ctx: Any, sources: Tensor, targets: Tensor, attention: Tensor) -> Tensor:
        ctx.save_for_backward(sources, targets, attention)
        return forms.run_fused(plain_scores, sources, targets, attention)

    @staticmethod
    @once_differentiable
    @forms.float32_backward
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
        return forms.run_fused(plain_gradient, *ctx.saved_tensors, grad)


class _WeightedMaximum(torch.autograd.Function):
    """left, right (n, n_regions, dim), weight (heads, channels) -> (n, heads, i, j): sum of weight max(left_j, right_i).

    Where both are equal the gradient goes to `right`: the slope of leaky_relu at zero is then that of torch.
    """

    @staticmethod
    @forms.float32_forward
    def forward(ctx: Any, left: Tensor, right: Tensor, weight: Tensor) -> Tensor:
        n, regions, _ = left.shape
        scores = left.new_empty(n, len(weight), regions, regions)
        for images in _blocks(left):
            a, b = _images_last(left[images], weight), _images_last(right[images], weight)
            larger = torch.empty_like(a)
            block = a.new_empty(regions, regions, len(weight), a.shape[3])
            for i in range(regions):
                torch.maximum(a, b[i], out=larger)
                torch.sum(larger.mul_(weight.unsqueeze(2)), 2, out=block[i])
            scores[images] = block.permute(3, 2, 0, 1)
        ctx.save_for_backward(left, right, weight)
        return scores

    @staticmethod
    @once_differentiable
    @forms.float32_backward
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
        left, right, weight = ctx.saved_tensors
        regions = left.shape[1]
        grad_left, grad_right, grad_weight = map(torch.empty_like, (left, right, weight))
        grad_weight.zero_()
        for images in _blocks(left):
            a, b = _images_last(left[images], weight), _images_last(right[images], weight)
            upstream = grad[images].permute(2, 3, 1, 0).contiguous()  # (i, j, heads, images)
            wins, to_a, to_b = torch.empty_like(a), torch.zeros_like(a), torch.empty_like(b)
            for i in range(regions):
                torch.gt(a, b[i], out=wins)  # 1 where left_j is the maximum
                to_a += wins.mul_(upstream[i].unsqueeze(2))
                torch.sum(wins, 0, out=to_b[i])
            to_b = upstream.sum(1).unsqueeze(2) - to_b
            grad_weight += (a * to_a).sum((0, 3)) + (b * to_b).sum((0, 3))
            for out, share in ((grad_left, to_a), (grad_right, to_b)):
                out[images] = share.mul_(weight.unsqueeze(2)).flatten(1, 2).permute(2, 0, 1)
        return grad_left, grad_right, grad_weight


def _blocks(x: Tensor) -> Iterator[slice]:
    """Images that are worked on together: all of them on a GPU."""
    n, regions, dim = x.shape
    size = max(_SHORTEST_RUN, _BLOCK_ELEMENTS // (regions * dim)) if x.device.type == "cpu" else n
    return (slice(start, start + size) for start in range(0, n, size))


def _images_last(x: Tensor, weight: Tensor) -> Tensor:
    """(images, n_regions, dim) -> (n_regions, heads, channels, images), contiguous."""
    return x.permute(1, 2, 0).contiguous().view(x.shape[1], *weight.shape, len(x))
