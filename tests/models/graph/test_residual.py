"""The written gradients of the block's ends equal those that torch derives from the same formulas."""

from __future__ import annotations

import torch

from lgsf.models.graph import residual

MASK = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])


def given(*shapes: tuple[int, ...]) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(shape, dtype=torch.double, requires_grad=True) for shape in shapes]


def test_heads() -> None:
    x, mixed, bias, gain = given((2, 5, 12), (2, 3, 5, 4), (12,), (2, 1, 12))
    plain, fused = residual.add_heads(x, mixed, bias, gain), residual._AddHeads.apply(x, mixed, bias, gain)
    assert torch.equal(plain, fused)
    one = x[1, 2, 5] + gain[1, 0, 5] * (mixed[1, 1, 2, 1] + bias[5])  # channel 5 of 12 is channel 1 of head 1
    assert plain[1, 2, 5] == one
    upstream = torch.randn_like(plain)
    for ours, theirs in zip(
        *(torch.autograd.grad(y, (x, mixed, bias, gain), upstream) for y in (fused, plain)), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_a_branch() -> None:
    x, branch, gain = given((2, 5, 4), (2, 5, 4), (2, 1, 4))
    plain, fused = residual.add_branch(x, branch, gain, MASK), residual._AddBranch.apply(x, branch, gain, MASK)
    assert torch.equal(plain, fused) and torch.equal(plain[1, 3:], torch.zeros(2, 4))
    upstream = torch.randn_like(plain)
    for ours, theirs in zip(
        *(torch.autograd.grad(y, (x, branch, gain), upstream) for y in (fused, plain)), strict=True
    ):
        torch.testing.assert_close(ours, theirs)
