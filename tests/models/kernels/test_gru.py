"""The ragged GRU is torch.nn.GRU on packed sequences, in values and gradients, wherever padding stands."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lgsf.models.kernels.gru import RaggedGRU

LENGTHS = torch.tensor([3, 6, 1, 2, 5, 5, 1])
MASK = torch.arange(6) < LENGTHS[:, None]


def _library(gru: nn.GRU, inputs: Tensor) -> Tensor:
    packed, _ = gru(pack_padded_sequence(inputs, LENGTHS, batch_first=True, enforce_sorted=False))
    states, _ = pad_packed_sequence(packed, batch_first=True)
    return states if not gru.bidirectional else states.unflatten(2, (2, -1)).mean(2)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_equals_the_library(bidirectional: bool) -> None:
    torch.manual_seed(0)
    ours = RaggedGRU(input_dim=4, dim=5, bidirectional=bidirectional)
    theirs = nn.GRU(4, 5, batch_first=True, bidirectional=bidirectional)
    theirs.load_state_dict(ours.state_dict())
    inputs, weights = torch.randn(7, 6, 4), torch.randn(7, 6, 5)
    a, b = inputs.clone().requires_grad_(), inputs.clone().requires_grad_()
    mine, library = ours(a, MASK), _library(theirs, b)
    torch.testing.assert_close(mine, library, atol=1e-6, rtol=0)
    assert (mine[~MASK] == 0).all()
    (mine * weights).sum().backward()
    (library * weights).sum().backward()
    torch.testing.assert_close(a.grad, b.grad, atol=1e-5, rtol=0)
    assert (a.grad[~MASK] == 0).all()
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(ours.get_parameter(name).grad, parameter.grad, atol=1e-5, rtol=0)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_gradient_by_finite_differences(bidirectional: bool) -> None:
    torch.manual_seed(0)
    gru = RaggedGRU(input_dim=2, dim=3, bidirectional=bidirectional).double()
    names = [name for name, _ in gru.named_parameters()]
    inputs = torch.randn(3, 3, 2, dtype=torch.double, requires_grad=True)
    mask = torch.arange(3) < torch.tensor([2, 3, 1])[:, None]

    def run(inputs: Tensor, *weights: Tensor) -> Tensor:
        return torch.func.functional_call(gru, dict(zip(names, weights, strict=True)), (inputs, mask))

    assert torch.autograd.gradcheck(run, (inputs, *(p.detach().clone().requires_grad_() for p in gru.parameters())))


def test_rows_of_a_table_may_repeat() -> None:
    torch.manual_seed(0)
    gru = RaggedGRU(input_dim=4, dim=5, bidirectional=True)
    table = torch.randn(3, 4, requires_grad=True)
    index = torch.randint(3, (7, 6))
    looked_up = gru.look_up(table, index, MASK)
    torch.testing.assert_close(looked_up, gru(table[index], MASK), atol=1e-6, rtol=0)
    expected = torch.autograd.grad(gru(table[index], MASK).square().sum(), table)[0]
    ours = torch.autograd.grad(looked_up.square().sum(), table)[0]
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


def test_a_state_does_not_depend_on_the_batch_or_its_padding() -> None:
    torch.manual_seed(0)
    gru = RaggedGRU(input_dim=4, dim=5, bidirectional=True)
    inputs = torch.randn(7, 6, 4)
    together = gru(inputs, MASK)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = gru(inputs[row : row + 1, :length], MASK[row : row + 1, :length])
        torch.testing.assert_close(alone[0], together[row, :length], atol=1e-6, rtol=0)
    garbage = inputs.masked_fill(~MASK.unsqueeze(2), torch.nan)
    torch.testing.assert_close(gru(garbage, MASK), together, atol=0, rtol=0)
