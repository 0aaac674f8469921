"""SGR and SAF equal their authors' code and keep every method's promises; their batch norms ignore padding."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from baselines import sgraf
from baselines.sgraf import SGRAF, SGRAFParameters, from_published
from lgsf.system.errors import LgsfError
from tests.support.golden import Golden, assert_equals_golden
from tests.support.properties import SPEC, check_evaluation, check_training, encode, ragged_batch

Module = Literal["sgr", "saf"]


def small(module: Module, *, dropout: float = 0.0, recompute: bool = True) -> SGRAF:
    torch.manual_seed(0)
    sizes = {"regions": 5, "similarity_dim": 8, "embedding_dim": 12, "word_dim": 6}
    options = SGRAFParameters(module=module, dropout=dropout, recompute=recompute, **sizes)
    return SGRAF(options, SPEC)


@pytest.mark.parametrize("module", ["sgr", "saf"])
def test_golden(module: Module) -> None:
    case = Golden(f"sgraf_{module}")
    options = SGRAFParameters(module=module, regions=7, similarity_dim=16, embedding_dim=32, word_dim=20)
    assert_equals_golden(case, SGRAF(options, case.spec), from_published)


@pytest.mark.parametrize("module", ["sgr", "saf"])
def test_promises(module: Module) -> None:
    method = small(module, dropout=0.4)
    check_evaluation(method, order_matters=True)
    check_training(method)


@pytest.mark.parametrize("module", ["sgr", "saf"])
def test_chunks_change_neither_scores_nor_gradients_nor_statistics(
    monkeypatch: pytest.MonkeyPatch, module: Module
) -> None:
    results: list[list[Tensor]] = []
    for chunk, recompute in ((48, True), (0, True), (48, False)):  # all captions at once, one at a time, all kept
        monkeypatch.setattr(sgraf, "CHUNK_MB", chunk)
        method = small(module, recompute=recompute).train()
        scores = method.similarity(*encode(method, ragged_batch()))
        scores.square().sum().backward()
        gradients = [p.grad for p in method.parameters() if p.grad is not None]
        results.append([scores.detach(), *gradients, *(b.clone() for b in method.buffers())])
    for together, apart, kept in zip(*results, strict=True):
        torch.testing.assert_close(together, apart, atol=5e-6, rtol=1e-5)
        assert torch.equal(together, kept)


def test_statistics_of_saf_are_those_of_a_loop_over_captions() -> None:
    """Batch norm over (images, nodes) of one caption after the other, longest first, without its padding."""
    method, batch = small("saf").train(), ragged_batch()
    images, texts = encode(method, batch)
    seen: list[Tensor] = []
    method.filtration.gate.register_forward_hook(lambda module, inputs, output: seen.append(output.detach()))
    method.similarity(images, texts)
    reference = nn.BatchNorm1d(1)
    lengths = batch.token_mask.sum(1)
    order = lengths.argsort(descending=True, stable=True)
    for row, text in enumerate(order):
        reference(seen[0][:, row, : lengths[text] + 1].transpose(1, 2))
    norm = method.filtration.norm
    torch.testing.assert_close(norm.running_mean, reference.running_mean)
    torch.testing.assert_close(norm.running_var, reference.running_var)
    assert norm.num_batches_tracked == reference.num_batches_tracked == 5


def test_more_regions_than_configured_are_refused() -> None:
    method, batch = small("sgr"), ragged_batch([6, 2], [2, 2])
    with pytest.raises(LgsfError, match="regions of SGRAF is 5, but an image has up to 6"):
        method.encode_images(batch.regions, batch.region_mask)
