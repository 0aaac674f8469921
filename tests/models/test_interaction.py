"""Sample interaction: who is connected, against torch's own transformer layer, and its control."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lgsf.models.interaction import InteractionParameters, SampleInteraction
from lgsf.system.errors import LgsfError

DIM = 12


def _layer(**changes: object) -> SampleInteraction:
    values = {"heads": 3, "ff": 16, "dropout": 0.0, "connect_top": 0.4, "mask_weight": 1.5}
    return SampleInteraction(InteractionParameters.model_validate({**values, **changes}), dim=DIM)


def _unit(n: int, *, seed: int = 0) -> Tensor:
    return F.normalize(torch.randn(n, DIM, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_relations_equal_a_loop() -> None:
    x = _unit(7)
    relations = _layer().relations(x)
    for i in range(7):
        nearest = sorted(range(7), key=lambda j: -float(x[i] @ x[j]))[: int(7 * 0.4)]
        assert i in nearest
        for j in range(7):
            if j not in nearest:
                assert relations[i, j] == -math.inf
            elif i == j:  # the distance to itself is held just above zero
                assert float(relations[i, j]) == pytest.approx(1.5, abs=2e-3)
            else:
                assert float(relations[i, j]) == pytest.approx(1.5 * math.exp(-float((x[i] - x[j]).norm())), abs=1e-5)


def test_every_sample_is_connected_to_itself() -> None:
    for n in (1, 2, 5):
        relations = _layer(connect_top=0.1).relations(_unit(n))
        assert torch.equal(relations > -math.inf, torch.eye(n, dtype=torch.bool))
    twins = _unit(1).expand(6, DIM)
    assert (_layer(connect_top=0.1).relations(twins).diagonal() > -math.inf).all()


def test_equals_torchs_transformer_layer() -> None:
    torch.manual_seed(0)
    layer = _layer()
    library = nn.TransformerEncoderLayer(DIM, 3, 16, dropout=0.0, batch_first=True)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
        library.self_attn.in_proj_weight.copy_(layer.project.weight)
        library.self_attn.in_proj_bias.copy_(layer.project.bias)
        library.self_attn.out_proj.load_state_dict(layer.merge.state_dict())
        library.linear1.load_state_dict(layer.ffn[0].state_dict())
        library.linear2.load_state_dict(layer.ffn[2].state_dict())
        library.norm1.load_state_dict(layer.norms[0].state_dict())
        library.norm2.load_state_dict(layer.norms[1].state_dict())
    x = _unit(9)
    theirs = library(x.unsqueeze(0), src_mask=layer.relations(x))[0]
    torch.testing.assert_close(layer(x), F.normalize(theirs, dim=1), atol=1e-5, rtol=0)


def test_identity_hears_nothing_and_has_the_same_parameters() -> None:
    torch.manual_seed(0)
    control = _layer(kind="identity")
    torch.manual_seed(0)
    layer = _layer()
    for (name, ours), (_, theirs) in zip(control.named_parameters(), layer.named_parameters(), strict=True):
        assert torch.equal(ours, theirs), name
    x, changed = _unit(8), _unit(8)
    changed[3] = _unit(1, seed=5)[0]
    assert (control(x) - control(changed)).abs().sum(1).nonzero().flatten().tolist() == [3]
    assert (layer(x) - layer(changed)).abs().sum(1).count_nonzero() > 1


def test_order_of_the_batch_changes_nothing() -> None:
    torch.manual_seed(0)
    layer, x, order = _layer(), _unit(8), torch.randperm(8)
    torch.testing.assert_close(layer(x[order]), layer(x)[order], atol=1e-6, rtol=0)


@pytest.mark.parametrize("n", [1, 6])
def test_gradient_is_finite_for_equal_samples(n: int) -> None:
    x = _unit(1).expand(n, DIM).clone().requires_grad_()
    out = _layer()(x)
    torch.testing.assert_close(out.norm(dim=1), torch.ones(n))
    out[:, 0].sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_heads_that_do_not_divide_are_refused() -> None:
    with pytest.raises(LgsfError, match=r"interaction\.heads: 5 does not divide.*12"):
        _layer(heads=5)


def test_groups_do_not_hear_each_other() -> None:
    torch.manual_seed(0)
    layer, images, captions = _layer(), _unit(8), _unit(8, seed=1)
    both = layer(torch.stack([images, captions]))
    torch.testing.assert_close(both, torch.stack([layer(images), layer(captions)]), atol=1e-6, rtol=0)
