"""Pooling against slow versions, the golden weights of VSE-infinity, and under padding."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor

from lgsf.models.layers.encoders import BiGRUEncoder, l2_normalize
from lgsf.models.layers.pooling import GeneralizedPooling, build_pooling, sorted_sum
from tests.support.golden import Golden, close

KINDS: tuple[Literal["mean", "maxk", "gpo"], ...] = ("mean", "maxk", "gpo")
COUNTS = [4, 1, 7, 2]
MASK = torch.arange(7) < torch.tensor(COUNTS)[:, None]


def test_mean_and_maxk_by_hand() -> None:
    x = torch.tensor([[[1.0, 9.0], [5.0, -3.0], [3.0, 3.0], [99.0, 99.0]]])
    mask = torch.tensor([[True, True, True, False]])
    torch.testing.assert_close(build_pooling("mean", k=1)(x, mask), torch.tensor([[3.0, 3.0]]))
    torch.testing.assert_close(build_pooling("maxk", k=1)(x, mask), torch.tensor([[5.0, 9.0]]))
    torch.testing.assert_close(build_pooling("maxk", k=2)(x, mask), torch.tensor([[4.0, 6.0]]))
    torch.testing.assert_close(build_pooling("maxk", k=9)(x, mask), torch.tensor([[3.0, 3.0]]))  # all there are


def _slow(x: Tensor, weights: Tensor) -> Tensor:
    """Sorted weighted sum, sample by sample and dimension by dimension, on valid fragments alone."""
    rows = []
    for sample, weight, count in zip(x, weights, COUNTS, strict=True):
        columns = [(sample[:count, d].sort(descending=True).values * weight[:count]).sum() for d in range(x.shape[2])]
        rows.append(torch.stack(columns))
    return torch.stack(rows)


def test_sorted_sum_and_its_gradients_equal_the_slow_version() -> None:
    torch.manual_seed(0)
    x, weights, upstream = torch.randn(4, 7, 3), torch.rand(4, 7) * MASK, torch.randn(4, 3)
    results = []
    for function in (lambda x, w: sorted_sum(x, MASK, w), _slow):
        a, w = x.clone().requires_grad_(), weights.clone().requires_grad_()
        out = function(a, w)
        results.append((out, *torch.autograd.grad((out * upstream).sum(), (a, w))))
    for ours, slow in zip(*results, strict=True):
        torch.testing.assert_close(ours, slow, atol=1e-6, rtol=0)


@pytest.mark.parametrize("length", [1, 2, 3, 5, 12, 13, 36, 40])
def test_sorted_sum_at_every_length(length: int) -> None:
    torch.manual_seed(length)
    x = torch.randint(-3, 4, (5, length, 6)).float()  # many ties
    weights = torch.rand(5, length)
    expected = (x.sort(dim=1, descending=True).values * weights.unsqueeze(2)).sum(1)
    everything = torch.ones(5, length, dtype=torch.bool)
    torch.testing.assert_close(sorted_sum(x, everything, weights), expected)
    a = x.clone().requires_grad_()
    sorted_sum(a, everything, weights).sum().backward()
    assert a.grad is not None  # whatever the order of ties, a dimension hands out each rank's weight once
    shares = a.grad.sort(dim=1).values
    torch.testing.assert_close(shares, weights.sort(dim=1).values.unsqueeze(2).expand_as(shares))


def test_gpo_equals_the_authors_code_on_words() -> None:
    case = Golden("vse_inf_bigru")
    weights = {name.removeprefix("txt_enc."): tensor for name, tensor in case.weights.items() if "txt_enc" in name}
    pooling = GeneralizedPooling()
    pooling.load_state_dict({n.removeprefix("gpool."): w for n, w in weights.items() if n.startswith("gpool.")})
    encoder = BiGRUEncoder(vocabulary_size=60, word_dim=20, dim=32)
    encoder.load_state_dict({name: w for name, w in weights.items() if not name.startswith("gpool.")})
    batch = case.batch
    pooled = pooling(encoder(batch.tokens, batch.token_mask), batch.token_mask)
    close(l2_normalize(pooled), case["cap_emb"])


def test_gpo_weights_sum_to_one_over_the_valid_ranks() -> None:
    torch.manual_seed(0)
    weights = GeneralizedPooling().weights(9)
    torch.testing.assert_close(weights.sum(1), torch.ones(9))
    assert (weights.triu(1) == 0).all()
    assert weights[8].std() > 1e-5
    torch.testing.assert_close(GeneralizedPooling().weights(1), torch.ones(1, 1))


@pytest.mark.parametrize("seed", range(4))
def test_a_lean_decides_which_end_of_the_values_counts(seed: int) -> None:
    torch.manual_seed(seed)
    weights = GeneralizedPooling(lean=2.0).weights(20)
    for length in (2, 4, 10, 20):
        wanted = (1 + torch.arange(length)) ** -2.0
        assert (weights[length - 1, :length] - wanted / wanted.sum()).abs().max() < 0.2
        assert weights[length - 1, :length].argmax() == 0
    assert weights[3, 0] > 0.55


def test_without_a_lean_the_weights_are_those_that_were_drawn() -> None:
    torch.manual_seed(0)
    published, generator = GeneralizedPooling(), torch.get_rng_state()
    torch.manual_seed(0)
    leaning = GeneralizedPooling(lean=1.0)
    assert torch.equal(torch.get_rng_state(), generator)  # the random stream goes on at the same place
    assert torch.equal(published.gru.state_dict()["weight_hh_l0"], leaning.gru.state_dict()["weight_hh_l0"])
    assert not torch.equal(published.linear.weight, leaning.linear.weight)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_and_order_change_nothing(kind: Literal["mean", "maxk", "gpo"]) -> None:
    torch.manual_seed(0)
    pooling = build_pooling(kind, k=2)
    x = torch.randn(4, 7, 5).masked_fill(~MASK.unsqueeze(2), 1e3)
    together = pooling(x, MASK)
    for row, count in enumerate(COUNTS):
        order = torch.randperm(count)
        alone = pooling(x[row : row + 1, order], torch.ones(1, count, dtype=torch.bool))
        torch.testing.assert_close(alone[0], together[row], atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_valid_fragments_alone(kind: Literal["mean", "maxk", "gpo"]) -> None:
    torch.manual_seed(0)
    x = torch.zeros(4, 7, 5, requires_grad=True)  # all equal: sorting has nothing but ties
    build_pooling(kind, k=2)(x, MASK).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert (x.grad[~MASK] == 0).all()
    torch.testing.assert_close(x.grad.sum(1), torch.ones(4, 5))  # weights of the ranks sum to one
