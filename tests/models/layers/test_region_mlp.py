"""The region perceptron: what it computes, and that batch norm never sees padding."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from lgsf.models.layers.region_mlp import RegionMLP


def module() -> RegionMLP:
    torch.manual_seed(0)
    return RegionMLP(region_dim=5, dim=6)


def test_is_a_linear_layer_plus_a_perceptron() -> None:
    mlp, x = module(), torch.randn(3, 5)
    rows = x @ mlp.first.weight.T + mlp.first.bias
    normed = (rows - rows.mean(0)) / (rows.var(0, unbiased=False) + 1e-5).sqrt()
    expected = F.linear(x, mlp.fc.weight, mlp.fc.bias) + F.linear(normed.relu(), mlp.second.weight, mlp.second.bias)
    out = mlp(x[None], torch.ones(1, 3, dtype=torch.bool))
    torch.testing.assert_close(out[0], expected)


@pytest.mark.parametrize("padding", [0.0, 9.0])
def test_padding_leaves_no_trace_in_the_statistics(padding: float) -> None:
    x = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(1))
    mask = torch.tensor([[True, True, False, False], [True, False, False, False], [True, True, True, True]])
    clean, padded = module(), module()
    expected = clean(x[mask][None], torch.ones(1, 7, dtype=torch.bool))
    out = padded(x.masked_fill(~mask[..., None], padding), mask)
    torch.testing.assert_close(out[mask], expected[0])
    assert (out[~mask] == 0).all()
    assert clean.norm.running_mean is not None
    assert padded.norm.running_mean is not None
    torch.testing.assert_close(padded.norm.running_mean, clean.norm.running_mean)
    torch.testing.assert_close(padded.norm.running_var, clean.norm.running_var)
