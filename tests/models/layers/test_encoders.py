"""Encoders: safe normalisation, Xavier weights, words under their mask."""

from __future__ import annotations

import math

import pytest
import torch

from lgsf.models.layers.encoders import BiGRUEncoder, GRUEncoder, RegionEncoder, l2_normalize, last_state, xavier_linear


def test_l2_normalize_gives_unit_rows_and_keeps_zero_rows() -> None:
    x = torch.tensor([[3.0, 4.0], [0.0, 0.0], [-1e-4, 0.0]], requires_grad=True)
    out = l2_normalize(x)
    torch.testing.assert_close(out, torch.tensor([[0.6, 0.8], [0.0, 0.0], [-1.0, 0.0]]))
    out.sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    torch.testing.assert_close(x.grad[0], torch.tensor([0.8 * 0.2 / 5, -0.6 * 0.2 / 5]))  # (I - y y') 1 / |x|
    assert x.grad[1].abs().max() <= 1


def test_l2_normalize_takes_the_axis_it_is_told() -> None:
    x = torch.randn(2, 3, 4)
    torch.testing.assert_close(l2_normalize(x, dim=1).norm(dim=1), torch.ones(2, 4))
    torch.testing.assert_close(l2_normalize(x).norm(dim=2), torch.ones(2, 3))


def test_xavier_bounds() -> None:
    layer = xavier_linear(30, 20)
    bound = math.sqrt(6 / 50)
    assert bound * 0.95 < layer.weight.abs().max() <= bound
    assert (layer.bias == 0).all()


def test_regions_off_the_mask_are_zero_and_unseen() -> None:
    encoder = RegionEncoder(region_dim=3, dim=4)
    torch.nn.init.ones_(encoder.fc.bias)
    regions = torch.randn(2, 3, 3)
    mask = torch.tensor([[True, True, False], [True, False, False]])
    out = encoder(regions, mask)
    torch.testing.assert_close(out[mask], encoder.fc(regions[mask]))
    assert (out[~mask] == 0).all()


@pytest.mark.parametrize("bidirectional", [False, True])
def test_words_equal_embedding_and_library_gru(bidirectional: bool) -> None:
    torch.manual_seed(0)
    encoder = GRUEncoder(vocabulary_size=11, word_dim=4, dim=5, bidirectional=bidirectional)
    library = torch.nn.GRU(4, 5, batch_first=True, bidirectional=bidirectional)
    library.load_state_dict(encoder.rnn.state_dict())
    tokens = torch.tensor([[1, 5, 7, 2], [1, 5, 2, 0], [9, 0, 0, 0]])
    states = encoder(tokens, tokens > 0)
    for row, length in enumerate((4, 3, 1)):
        expected = library(encoder.embed(tokens[row : row + 1, :length]))[0]
        if bidirectional:
            expected = (expected[..., :5] + expected[..., 5:]) / 2
        torch.testing.assert_close(states[row : row + 1, :length], expected, atol=1e-6, rtol=0)
        assert (states[row, length:] == 0).all()
    torch.testing.assert_close(last_state(states, tokens > 0), torch.stack([states[0, 3], states[1, 2], states[2, 0]]))


def test_embeddings_start_small_and_padding_gets_no_gradient() -> None:
    torch.manual_seed(0)
    encoder = BiGRUEncoder(vocabulary_size=200, word_dim=6, dim=5)
    assert 0.099 < encoder.embed.weight.abs().max() <= 0.1
    tokens = torch.tensor([[1, 5, 2], [7, 0, 0]])
    encoder(tokens, tokens > 0).square().sum().backward()
    assert encoder.embed.weight.grad is not None
    touched = encoder.embed.weight.grad.abs().sum(1).nonzero().flatten().tolist()
    assert touched == [1, 2, 5, 7]
