"""The cross-attention kernel against a loop over pairs, at every chunk size, and at the edges."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lgsf.models.kernels import attention_plan
from lgsf.models.layers.attention import Aggregation, CrossAttention, attention_weights

DIM = 12
Ragged = tuple[Tensor, Tensor]


def ragged(counts: list[int], *, seed: int, padding: float = 0.0) -> Ragged:
    """Random unit vectors (n, longest, DIM) and their mask; `padding` fills what is masked out."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(max(counts)) < torch.tensor(counts)[:, None]
    vectors = F.normalize(torch.randn(len(counts), max(counts), DIM, generator=generator), dim=-1)
    return vectors.masked_fill(~mask[..., None], padding), mask


def loop(queries: Ragged, sources: Ragged, options: CrossAttention) -> Tensor:
    """The definition, one pair of samples at a time, with the attended vectors written out."""
    scores = []
    for query, query_mask in zip(*queries, strict=True):
        for source, source_mask in zip(*sources, strict=True):
            words, regions = query[query_mask], source[source_mask]
            raw = F.leaky_relu(words @ regions.T, options.leak)
            raw = raw / (raw.pow(2).sum(0, keepdim=True).clamp(min=1e-30).sqrt() + 1e-8)  # over the queries
            attended = torch.softmax(options.inverse_temperature * raw, 1) @ regions
            cosine = F.cosine_similarity(words, attended, dim=1, eps=1e-8)
            if options.aggregation == "mean":
                scores.append(cosine.mean())
            else:
                scores.append(torch.logsumexp(options.lse_scale * cosine, 0) / options.lse_scale)
    return torch.stack(scores).view(len(queries[0]), len(sources[0]))


def options(aggregation: Aggregation = "lse", **changes: float) -> CrossAttention:
    return CrossAttention(inverse_temperature=9.0, aggregation=aggregation, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(("aggregation", "leak"), [("mean", 0.1), ("lse", 0.1), ("lse", 0.0)])
@pytest.mark.parametrize(("query_counts", "source_counts"), [([4, 7, 1, 5], [6] * 5), ([6] * 5, [4, 7, 1, 5, 2])])
def test_scores_and_gradients_equal_the_loop(
    aggregation: Aggregation, leak: float, query_counts: list[int], source_counts: list[int]
) -> None:
    how = options(aggregation, leak=leak)
    queries, sources = ragged(query_counts, seed=1), ragged(source_counts, seed=2)
    weight = torch.randn(len(query_counts), len(source_counts), generator=torch.Generator().manual_seed(3))
    results = []
    for function in (lambda q, s: how(*q, *s), lambda q, s: loop(q, s, how)):
        leaves = [queries[0].clone().requires_grad_(), sources[0].clone().requires_grad_()]
        scores = function((leaves[0], queries[1]), (leaves[1], sources[1]))
        (scores * weight).sum().backward()
        results.append((scores.detach(), leaves[0].grad, leaves[1].grad))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-6, rtol=0)


def test_gradient_in_double_precision() -> None:
    queries, query_mask = ragged([2, 3], seed=4)
    sources, source_mask = ragged([3, 1, 2], seed=5)
    inputs = queries.double().requires_grad_(), sources.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda q, s: options()(q, query_mask, s, source_mask), inputs, atol=1e-6)


@pytest.mark.parametrize("elements", [1, 40, 300, 10**6])
@pytest.mark.parametrize("memory_mb", [0, 512])
def test_block_sizes_do_not_matter(monkeypatch: pytest.MonkeyPatch, elements: int, memory_mb: int) -> None:
    """Neither the size of the blocks nor whether the products are kept for the backward pass (they are not at 0 MB)."""
    queries, sources = ragged([3, 8, 1, 5, 2], seed=6), ragged([4, 9, 9, 1], seed=7)

    def run(memory: int) -> list[Tensor]:
        leaves = [queries[0].clone().requires_grad_(), sources[0].clone().requires_grad_()]
        scores = options(memory_mb=memory)(leaves[0], queries[1], leaves[1], sources[1])
        return [scores.detach(), *torch.autograd.grad(scores.square().sum(), leaves)]

    expected = run(512)
    monkeypatch.setitem(attention_plan._BLOCK_ELEMENTS, "cpu", elements)
    for ours, theirs in zip(run(memory_mb), expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-6, rtol=2e-6)


def test_score_of_a_pair_does_not_depend_on_the_others() -> None:
    queries, sources = ragged([3, 8, 1, 5], seed=8), ragged([4, 2, 9], seed=9)
    together = options()(*queries, *sources)
    for i in range(4):
        for j in range(3):
            alone = options()(
                queries[0][i : i + 1], queries[1][i : i + 1], sources[0][j : j + 1], sources[1][j : j + 1]
            )
            torch.testing.assert_close(alone[0, 0], together[i, j], atol=1e-6, rtol=0)


@pytest.mark.parametrize("padding", [7.0, float("nan")])
def test_padding_is_never_seen(padding: float) -> None:
    counts, other = [3, 8, 1], [4, 2, 9]
    clean = options()(*ragged(counts, seed=1), *ragged(other, seed=2))
    dirty = options()(*ragged(counts, seed=1, padding=padding), *ragged(other, seed=2, padding=padding))
    assert torch.equal(clean, dirty)


def test_mask_needs_no_order() -> None:
    queries, mask = ragged([4, 4], seed=1)
    mask[0] = torch.tensor([False, True, False, True])
    sources = ragged([3, 5], seed=2)
    torch.testing.assert_close(
        options()(queries, mask, *sources), loop((queries, mask), sources, options()), atol=1e-6, rtol=0
    )


def test_order_within_a_sample_does_not_matter() -> None:
    (queries, query_mask), (sources, source_mask) = ragged([5, 5], seed=1), ragged([6, 6, 6], seed=2)
    order, other = torch.randperm(5), torch.randperm(6)
    moved = options()(queries[:, order], query_mask, sources[:, other], source_mask)
    torch.testing.assert_close(moved, options()(queries, query_mask, sources, source_mask), atol=1e-6, rtol=0)


def test_one_of_everything() -> None:
    query, source = ragged([1], seed=1), ragged([1], seed=2)
    score = options()(*query, *source)  # the attention has no choice, so the score is the cosine
    torch.testing.assert_close(score, (query[0] * source[0]).sum(-1), atol=1e-6, rtol=0)


@pytest.mark.parametrize("temperature", [30.0, 45.0, 100.0])
def test_sharp_attention_does_not_overflow(temperature: float) -> None:
    """With one query the norm makes every logit as large as it can be, here for a hundred fragments."""
    how = CrossAttention(inverse_temperature=temperature, aggregation="mean")
    queries, sources = ragged([1, 3], seed=1), ragged([100, 40], seed=2)
    leaves = queries[0].requires_grad_(), sources[0].requires_grad_()
    results = []
    for scores in (how(leaves[0], queries[1], leaves[1], sources[1]), loop(queries, sources, how)):
        results.append([scores.detach(), *torch.autograd.grad(scores.square().sum(), leaves)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-3)


def test_large_lse_scale_neither_overflows_nor_vanishes() -> None:
    """exp(20) fits float32 but overflows float16; exp(200) overflows both, and exp(-200) is zero."""
    queries, sources = ragged([4, 6], seed=1), ragged([3, 3], seed=2)
    for scale in (20.0, 200.0):
        for sign in (1, -1):
            vectors = (sign * queries[0]).requires_grad_()
            scores = options(lse_scale=scale)(vectors, queries[1], *sources)
            expected = loop((vectors, queries[1]), sources, options(lse_scale=scale))
            torch.testing.assert_close(scores, expected, atol=2e-6, rtol=0)
            (gradient,) = torch.autograd.grad(scores.sum(), vectors)
            assert gradient.isfinite().all()
            assert gradient.abs().sum() > 0


@pytest.mark.parametrize("zero", ["a query", "all queries", "a source", "all sources"])
def test_zero_vectors_have_finite_values_and_bounded_gradients(zero: str) -> None:
    """The published norm divides by sqrt(0) in the backward pass: NaN, or a gradient of 1e8."""
    (queries, query_mask), (sources, source_mask) = ragged([4, 4], seed=1), ragged([3, 3], seed=2)
    target = queries if "quer" in zero else sources
    target[0, 0 if zero.startswith("a ") else slice(None)] = 0
    leaves = queries.requires_grad_(), sources.requires_grad_()
    scores = options()(queries, query_mask, sources, source_mask)
    torch.testing.assert_close(
        scores, loop((queries, query_mask), (sources, source_mask), options()), atol=1e-6, rtol=0
    )
    for gradient in torch.autograd.grad(scores.sum(), leaves):
        assert gradient.isfinite().all()
        assert gradient.abs().max() < 100


def test_weights_are_what_the_kernel_uses() -> None:
    queries, sources = ragged([4, 2], seed=1), ragged([3, 5], seed=2)
    weights = attention_weights(*queries, *sources, inverse_temperature=9.0)
    assert weights.shape == (2, 4, 2, 5)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4, 2))
    assert (weights[:, :, 0, 3:] == 0).all()
    attended = torch.einsum("clis,isd->clid", weights, sources[0])
    cosine = F.cosine_similarity(queries[0][:, :, None], attended, dim=-1) * queries[1][..., None]
    mean = cosine.sum(1) / queries[1].sum(1, keepdim=True)
    torch.testing.assert_close(mean, options("mean")(*queries, *sources), atol=1e-6, rtol=0)


def test_a_sample_without_fragments_is_refused() -> None:
    queries, mask = ragged([2, 3], seed=1)
    mask[1] = False
    with pytest.raises(ValueError, match="at least one fragment"):
        options()(queries, mask, *ragged([2], seed=2))


def test_no_samples_give_an_empty_matrix() -> None:
    queries, sources = ragged([2, 3], seed=1), ragged([2], seed=2)
    assert options()(queries[0][:0], queries[1][:0], *sources).shape == (0, 1)
