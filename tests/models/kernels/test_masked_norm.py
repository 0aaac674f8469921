"""Masked batch norm against torch's own on samples without padding, and against the valid entries with it."""

from __future__ import annotations

import torch
from torch import nn

from lgsf.models.kernels.masked_norm import MaskedBatchNorm
from tests.support.accelerator import accelerator


def test_without_padding_it_is_batch_norm() -> None:
    ours, theirs = MaskedBatchNorm(4), nn.BatchNorm1d(4)
    with torch.no_grad():
        ours.weight.copy_(theirs.weight.uniform_(0.5, 2))
        ours.bias.copy_(theirs.bias.uniform_(-1, 1))
    mask = torch.ones(3, 4, dtype=torch.bool)
    for _ in range(3):
        x = torch.randn(3, 4, 6)
        torch.testing.assert_close(ours(x, mask), theirs(x))
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)
    ours.eval()
    theirs.eval()
    torch.testing.assert_close(ours(x, mask), theirs(x))


def test_padding_leaves_no_trace() -> None:
    x = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(0))
    mask = torch.arange(4) < torch.tensor([[4], [2], [1]])
    results = []
    for filler in (0.0, 1e3):
        norm = MaskedBatchNorm(6)
        out = norm(x.masked_fill(~mask[..., None], filler), mask)
        results.append((out[mask], norm.running_mean, norm.running_var))
    for clean, padded in zip(*results, strict=True):
        assert torch.equal(clean, padded)
    values = x[:2, 1].flatten()  # channel 1 exists in the first two samples
    torch.testing.assert_close(results[0][1][1], 0.1 * values.mean())
    torch.testing.assert_close(results[0][2][1], 0.9 + 0.1 * values.var())
    assert results[0][1][4] == 0  # this channel was never seen
    assert results[0][2][4] == 1


def test_many_batches_are_taken_up_in_closed_form_on_an_accelerator() -> None:
    generator = torch.Generator().manual_seed(0)
    count = torch.randint(0, 4, (40, 3), generator=generator)  # a channel of fewer than two values is left out
    mean, variance = (torch.rand(40, 3, generator=generator) for _ in range(2))
    one_by_one, at_once = MaskedBatchNorm(3), MaskedBatchNorm(3)
    one_by_one.track(count, mean, variance)
    with accelerator():
        at_once.track(count, mean, variance)
    torch.testing.assert_close(at_once.state_dict(), one_by_one.state_dict())
    assert int(at_once.num_batches_tracked) == 40
