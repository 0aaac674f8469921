"""Edge scores of GATv2 against the plain form and finite differences, in blocks and at the kink."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lgsf.models.graph import edge_scores
from lgsf.models.graph.edge_scores import edge_scores_v2

HEADS = 3


def _plain_scores(sources: Tensor, targets: Tensor, attention: Tensor) -> Tensor:
    left, right = (x.unflatten(2, attention.shape) for x in (sources, targets))
    sums = right.unsqueeze(2) + left.unsqueeze(1)  # (n, i, j, heads, channels)
    return torch.einsum("bijhd,hd->bhij", torch.nn.functional.leaky_relu(sums, 0.2), attention)


@pytest.mark.parametrize(("regions", "channels"), [(1, 1), (7, 4), (12, 16), (36, 64)])
def test_scores_equal_the_plain_form(regions: int, channels: int) -> None:
    generator = torch.Generator().manual_seed(0)
    shape = (3, regions, HEADS * channels)
    sources, targets = torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)
    attention = torch.randn(HEADS, channels, generator=generator) / channels**0.5
    upstream = torch.randn(3, HEADS, regions, regions, generator=generator)
    results = []
    for function in (edge_scores_v2, _plain_scores):
        given = [tensor.clone().requires_grad_() for tensor in (sources, targets, attention)]
        scores = function(*given)
        results.append((scores, *torch.autograd.grad((scores * upstream).sum(), given)))
    for ours, plain, tolerance in zip(*results, (4e-6, 2e-5, 2e-5, 5e-4), strict=True):
        torch.testing.assert_close(ours, plain, atol=tolerance, rtol=1e-6)


def test_gradient_is_finite_where_a_sum_is_zero() -> None:
    """At self-loops with opposite projections, and for regions and weights of zeros, |x| is at its kink."""
    zeros, ones = torch.zeros(2, 4, HEADS * 5), torch.ones(2, 4, HEADS * 5)
    for sources, targets in ((zeros, zeros), (ones, -ones)):
        for weight in (torch.ones(HEADS, 5), torch.zeros(HEADS, 5)):
            given = [tensor.clone().requires_grad_() for tensor in (sources, targets, weight)]
            for gradient in torch.autograd.grad(edge_scores_v2(*given).sum(), given):
                assert gradient.isfinite().all()
                assert gradient.abs().max() <= 2 * 4 * 4 * 2  # images x regions x regions, once from each end


def test_gradient_by_finite_differences() -> None:
    torch.manual_seed(0)
    given = [torch.randn(shape, dtype=torch.double, requires_grad=True) for shape in ((2, 3, 4), (2, 3, 4), (2, 2))]
    assert torch.autograd.gradcheck(edge_scores._WeightedMaximum.apply, given)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    given = [torch.randn(shape, requires_grad=True) for shape in ((50, 7, 12), (50, 7, 12), (3, 4))]
    results = []
    for elements in (1, 2**30):
        monkeypatch.setattr(edge_scores, "_BLOCK_ELEMENTS", elements)
        scores = edge_scores_v2(*given)
        results.append((scores, *torch.autograd.grad(scores.sin().sum(), given)))
    for small, large in zip(*results, strict=True):
        torch.testing.assert_close(small, large, atol=1e-4, rtol=1e-6)
