"""VSRN equals its authors' code in both variants and keeps every method's promises; the captioning loss learns."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from torch.nn import functional as F

from baselines.vsrn import VSRN, VSRNParameters, from_published
from tests.support.golden import HARDEST, Golden, assert_equals_golden
from tests.support.golden import close as close_to_golden
from tests.support.properties import SPEC, check_evaluation, check_training, encode, ragged_batch

Variant = Literal["coco", "f30k"]


def small(**changes: Any) -> VSRN:
    torch.manual_seed(0)
    return VSRN(VSRNParameters(**{"embedding_dim": 12, "word_dim": 6, "caption_dim": 8, **changes}), SPEC)


@pytest.mark.parametrize("variant", ["coco", "f30k"])
def test_golden(variant: Variant) -> None:
    case = Golden(f"vsrn_{variant}")
    options = VSRNParameters(variant=variant, embedding_dim=32, word_dim=20, caption_weight=0.0)
    method = VSRN(options, case.spec)
    assert_equals_golden(case, method, from_published)
    with torch.no_grad():
        close_to_golden(method.reason(case["images"].double(), case.batch.region_mask), case["gcn_emb"])


@pytest.mark.parametrize("variant", ["coco", "f30k"])
@pytest.mark.parametrize("norm_axis", ["regions", "features"])
def test_promises(variant: Variant, norm_axis: str) -> None:
    method = small(variant=variant, norm_axis=norm_axis)
    check_evaluation(method, order_matters=True)
    check_training(method)


def test_the_norms_run_over_the_axis_that_is_asked_for() -> None:
    batch = ragged_batch()
    for axis, dim in (("regions", 1), ("features", 2)):
        norms = small(norm_axis=axis).eval().reason(batch.regions, batch.region_mask).norm(dim=dim)
        expected = torch.ones_like(norms) if dim == 1 else batch.region_mask.to(norms.dtype)
        torch.testing.assert_close(norms, expected)


def test_graph_layers_start_as_identity() -> None:
    method, x = small().eval(), torch.randn(2, 3, 12)
    mask = torch.tensor([[True, True, True], [True, False, False]])
    assert torch.equal(method.graph[0](x, mask), x)


def test_captioning_loss_counts_every_word_once() -> None:
    """With a decoder that finds all words alike, a caption of n tokens costs n log V: n - 1 words and a padding."""
    method = small(caption_dropout=0.0)
    torch.nn.init.zeros_(method.captioner.leave.weight)
    torch.nn.init.zeros_(method.captioner.leave.bias)
    batch = ragged_batch()
    features = torch.randn(5, 5, 12)
    loss = method.captioner(features, batch.region_mask, batch.tokens, batch.token_mask)
    expected = batch.token_mask.sum() / 5 * torch.log(torch.tensor(float(SPEC.vocabulary_size)))
    torch.testing.assert_close(loss, expected)


def test_captioning_loss_sees_no_padding_and_the_right_words() -> None:
    method = small(caption_dropout=0.0)
    for extra in (0, 3):
        batch = ragged_batch(extra=extra)
        features = F.pad(torch.randn(5, 5, 12, generator=torch.Generator().manual_seed(1)), (0, 0, 0, extra), value=3.0)
        losses = [method.captioner(features, batch.region_mask, batch.tokens, batch.token_mask)]
        one_by_one = [
            method.captioner(
                features[i : i + 1, :n], batch.region_mask[i : i + 1, :n], batch.tokens[i : i + 1, :m],
                batch.token_mask[i : i + 1, :m],
            )
            for i, (n, m) in enumerate(zip(batch.region_mask.sum(1), batch.token_mask.sum(1), strict=True))
        ]  # fmt: skip
        torch.testing.assert_close(losses[0], torch.stack(one_by_one).mean())


def test_captioning_learns_to_repeat() -> None:
    method, batch = small(caption_dropout=0.0, caption_weight=2.0).train(), ragged_batch()
    optimizer = torch.optim.Adam(method.parameters(), lr=0.02)
    values = []
    for _ in range(60):
        optimizer.zero_grad()
        loss, terms = method.loss(batch, *encode(method, batch), HARDEST)
        torch.testing.assert_close(loss.detach(), terms["hinge"] + 2.0 * terms["caption"])
        loss.backward()
        optimizer.step()
        values.append(float(terms["caption"]))
    assert values[-1] < 0.3 * values[0]


def test_the_captioner_is_for_training_only() -> None:
    method = small()
    assert method.training_only == ("captioner",)
    assert any(name.startswith("captioner.") for name in method.state_dict())
    assert not any(name.startswith("captioner.") for name in small(caption_weight=0.0).state_dict())
    images, _ = encode(method.eval(), ragged_batch())
    assert images.fragments is None
