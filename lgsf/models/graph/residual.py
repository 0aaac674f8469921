"""The ends of the graph block's two branches: x + gain * branch, in one kernel each where kernels can be fused.

As torch runs it, each operation of an end reads and writes tensors of the size of all regions: at 2,048 features a tenth of
what the training step moved (12.9 GB with that, 11.5 without).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lgsf.models.kernels import forms


def merged(mixed: Tensor, bias: Tensor) -> Tensor:
    """Heads side by side: (n, heads, n_regions, channels), (heads * channels,) -> (n, n_regions, heads * channels)."""
    return mixed.transpose(1, 2).flatten(2) + bias


def add_heads(x: Tensor, mixed: Tensor, bias: Tensor, gain: Tensor) -> Tensor:
    """x (n, n_regions, dim) + gain (n, 1, dim) * merged(mixed, bias), float32."""
    if forms.fusible(x):
        added: Tensor = _AddHeads.apply(x, mixed, bias, gain)  # type: ignore[no-untyped-call]
        return added
    return _add_heads(x, mixed, bias, gain)


def add_branch(x: Tensor, branch: Tensor, gain: Tensor, mask: Tensor) -> Tensor:
    """x (n, n_regions, dim) + gain (n, 1, dim) * branch (n, n_regions, dim), zero off the mask (n, n_regions) bool."""
    if forms.fusible(x):
        added: Tensor = _AddBranch.apply(x, branch, gain, mask)  # type: ignore[no-untyped-call]
        return added
    return _add_branch(x, branch, gain, mask)


def _add_heads(x: Tensor, mixed: Tensor, bias: Tensor, gain: Tensor) -> Tensor:
    return x + gain * merged(mixed, bias)


def _add_heads_gradient(mixed: Tensor, bias: Tensor, gain: Tensor, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of mixed, bias and gain; that of x is `grad`. All sums are over the regions of an image first: one pass."""
    whole = grad.sum(1, keepdim=True)
    to_gain = (mixed.transpose(1, 2).flatten(2) * grad).sum(1, keepdim=True) + bias * whole
    to_mixed = (gain * grad).view(*grad.shape[:2], mixed.shape[1], -1).transpose(1, 2)
    return to_mixed, (gain * whole).sum((0, 1)), to_gain


def _add_branch(x: Tensor, branch: Tensor, gain: Tensor, mask: Tensor) -> Tensor:
    return (x + gain * branch).masked_fill(~mask.unsqueeze(2), 0.0)


def _add_branch_gradient(branch: Tensor, gain: Tensor, mask: Tensor, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of x, branch and gain."""
    to_x = grad.masked_fill(~mask.unsqueeze(2), 0.0)
    return to_x, gain * to_x, (branch * to_x).sum(1, keepdim=True)


class _AddHeads(torch.autograd.Function):
    @staticmethod
    @forms.float32_forward
    def forward(ctx: Any, x: Tensor, mixed: Tensor, bias: Tensor, gain: Tensor) -> Tensor:
        ctx.save_for_backward(mixed, bias, gain)
        return forms.run_fused(_add_heads, x, mixed, bias, gain)

    @staticmethod
    @once_differentiable
    @forms.float32_backward
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        return grad, *forms.run_fused(_add_heads_gradient, *ctx.saved_tensors, grad)


class _AddBranch(torch.autograd.Function):
    @staticmethod
    @forms.float32_forward
    def forward(ctx: Any, x: Tensor, branch: Tensor, gain: Tensor, mask: Tensor) -> Tensor:
        ctx.save_for_backward(branch, gain, mask)
        return forms.run_fused(_add_branch, x, branch, gain, mask)

    @staticmethod
    @once_differentiable
    @forms.float32_backward
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        return *forms.run_fused(_add_branch_gradient, *ctx.saved_tensors, grad), None
