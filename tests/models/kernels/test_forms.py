"""The form of an accelerator computes what that of a CPU does: every method, both on a CPU; and the compiled kernels."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lgsf.models.base import Method, Progress
from lgsf.models.graph import edge_scores
from lgsf.models.kernels import forms
from lgsf.models.layers.encoders import l2_normalize
from tests.support.accelerator import accelerator
from tests.support.every_method import FORMS
from tests.support.launches import FUSED
from tests.support.properties import close, encode, ragged_batch, scores

LATE = Progress(step=999_999, total_steps=1_000_000, hardest=True)


def _step(method: Method, ids: list[int], *, hardest: bool) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
    batch = replace(ragged_batch(), image_ids=torch.tensor(ids))
    method.train()
    torch.manual_seed(0)
    loss, terms = method.loss(batch, *encode(method, batch), replace(LATE, hardest=hardest))
    loss.backward()
    return loss.detach(), terms, {name: p.grad for name, p in method.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("ids", [[0, 1, 2, 3, 4], [0, 0, 1, 2, 2], [3, 3, 3, 3, 3]], ids=["all", "some", "one"])
@pytest.mark.parametrize("name", FORMS)
def test_every_method_learns_the_same_on_an_accelerator(name, ids, monkeypatch) -> None:
    # Draws come in another order there; without noise the largest weight wins in both.
    monkeypatch.setattr(torch.Tensor, "exponential_", lambda self: self.fill_(1.0))
    expected = _step(FORMS[name].build(), ids, hardest=True)
    with accelerator():
        method = FORMS[name].build()
        found = _step(method, ids, hardest=True)
    torch.testing.assert_close(found[0], expected[0], atol=1e-5, rtol=1e-5)
    assert found[1].keys() == expected[1].keys()
    for term, value in expected[1].items():
        torch.testing.assert_close(found[1][term], value, atol=1e-5, rtol=1e-5, msg=term)
    assert found[2].keys() == expected[2].keys()
    for parameter, gradient in expected[2].items():
        torch.testing.assert_close(found[2][parameter], gradient, atol=2e-5, rtol=1e-4, msg=parameter)


@pytest.mark.parametrize("name", FORMS)
def test_every_method_scores_the_same_on_an_accelerator(name) -> None:
    method, batch = FORMS[name].build().eval(), ragged_batch()
    with torch.inference_mode():
        expected = scores(method, batch)
        with accelerator():
            close(scores(method, batch), expected)


def test_a_training_step_follows_an_evaluation() -> None:
    """Constants that were made in inference mode must not keep a later step from learning."""
    with accelerator():
        method, batch = FORMS["lgsf"].build(), ragged_batch()
        with torch.inference_mode():
            scores(method, batch)
        _step(method, [0, 1, 2, 3, 4], hardest=True)


def test_short_vectors_keep_their_length_and_gradient() -> None:
    x = torch.tensor([[3.0, 4.0], [0.0, 0.0], [1e-9, 0.0]])
    results = []
    for form in (None, accelerator):
        given = x.clone().requires_grad_()
        with form() if form else torch.enable_grad():
            unit = l2_normalize(given)
            (unit * torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])).sum().backward()
        results.append((unit.detach(), given.grad))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-7, rtol=1e-6)
    assert torch.equal(results[1][1][1:], torch.tensor([[3.0, 4.0], [5.0, 6.0]]))


def test_indices_that_never_repeat_are_written_without_sorting() -> None:
    torch.set_deterministic_debug_mode("error")
    try:
        with forms.unique_indices():
            assert torch.get_deterministic_debug_mode() == 0
        assert torch.get_deterministic_debug_mode() == 2
    finally:
        torch.set_deterministic_debug_mode("default")


@pytest.mark.slow
def test_compiled_edge_scores_are_as_many_kernels_as_the_counter_says() -> None:
    """With the compiler's C++ backend, which fuses as the one for GPUs does."""
    from torch._inductor import metrics
    from torch._inductor.utils import run_and_get_code

    torch.manual_seed(0)
    n, regions, heads, channels = 16, 36, 8, 16
    sources, targets = torch.randn(n, regions, heads * channels), torch.randn(n, regions, heads * channels)
    attention, grad = torch.randn(heads, channels), torch.randn(n, heads, regions, regions)
    all_sums = n * regions * regions * heads * channels
    for function, given in (
        (edge_scores.plain_scores, (sources, targets, attention)),
        (edge_scores.plain_gradient, (sources, targets, attention, grad)),
    ):
        metrics.reset()
        found, code = run_and_get_code(torch.compile(function, dynamic=False), *given)
        torch.testing.assert_close(found, function(*given), atol=1e-4, rtol=1e-4)
        assert 0 < metrics.generated_kernel_count <= FUSED[function.__name__]
        buffers = re.findall(r"= empty_strided_cpu\(\(([\d, ]+)\)", "\n".join(code))
        sizes = [math.prod(int(side) for side in sides.split(",") if side.strip()) for sides in buffers]
        assert sizes
        assert max(sizes) < all_sums / 10  # the tensor of all sums is never written
