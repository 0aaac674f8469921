"""Cross-attention similarity of SCAN (Lee et al., ECCV 2018, eq. 1-10), batched, exact, in bounded memory.

Every query fragment attends to all fragments of one source sample; the score of a pair of samples is the
mean or LogSumExp of the cosines between the queries and what they attended to. With words as queries this
is SCAN's t2i, with regions as queries its i2t. For query w, source fragments v_1..v_S and s_r = <v_r, w>:

    a_r = LeakyReLU(s_r) / ||LeakyReLU(s_r) over all queries of the sample||     (cross-axis norm)
    p   = softmax_r(inverse_temperature * a_r)
    cos = <w, sum_r p_r v_r> / (||w|| ||sum_r p_r v_r||) = (p . s) / (||w|| sqrt(p' G p)),   G = V V'

The last form needs no context vectors, hence no (images x captions x words x dim) tensor. The gradient is
written out by hand and recomputes what it needs per block, so training is bounded as evaluation is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from lgsf.data.batches.host import on_host
from lgsf.models.kernels import forms
from lgsf.models.kernels.attention_plan import Plan, Queries, Sources
from lgsf.models.kernels.packing import by_sample, pack

Aggregation = Literal["mean", "lse"]

EPS = 1e-8  # as published: added to the cross-axis norm, and the least product of norms in the cosine

_SAFE_EXPONENT = 30.0  # logits up to this need no shift: squares of sums of their exponentials stay in float32


@dataclass(frozen=True, kw_only=True)
class CrossAttention:
    """What to compute, and in how much memory.

    inverse_temperature  sharpness of the attention (lambda_softmax; lambda_1 in the paper)
    aggregation          "mean" of the cosines, or "lse": log(sum(exp(lse_scale * cosine))) / lse_scale
    lse_scale            lambda_lse; lambda_2 in the paper
    leak                 slope for negative products, in 0..1: 0.1 in the published code, 0 in the paper
    memory_mb            memory for intermediate values beside embeddings, scores and gradients on a CPU; a GPU has more
    """

    inverse_temperature: float
    aggregation: Aggregation
    lse_scale: float = 6.0
    leak: float = 0.1
    memory_mb: int = 512

    def __call__(self, queries: Tensor, query_mask: Tensor, sources: Tensor, source_mask: Tensor) -> Tensor:
        """Scores (n_query_samples, n_source_samples) float32.

        queries      (n_query_samples, n_query_fragments, dim) float32
        query_mask   (n_query_samples, n_query_fragments) bool, at least one True per row
        sources      (n_source_samples, n_source_fragments, dim) float32
        source_mask  (n_source_samples, n_source_fragments) bool, at least one True per row

        What is masked out has no influence, whatever it holds. Raises ValueError for a row without a fragment.
        """
        counts, source_counts = (on_host(mask).sum(1).tolist() for mask in (query_mask, source_mask))
        if min(counts, default=1) == 0 or min(source_counts, default=1) == 0:
            raise ValueError("cross-attention needs at least one fragment in every sample")
        if not counts or not source_counts:
            return queries.new_zeros(len(counts), len(source_counts))
        if bool(on_host(query_mask).all()):
            packed = queries.flatten(0, 1)
        else:
            packed = queries[query_mask] if forms.blocked(queries) else pack(queries, by_sample(query_mask))
        differentiate = torch.is_grad_enabled() and (queries.requires_grad or sources.requires_grad)
        scores: Tensor = _CrossAttention.apply(  # type: ignore[no-untyped-call]
            packed, sources, source_mask, counts, source_counts, self, differentiate
        )
        return scores


def attention_weights(
    queries: Tensor,
    query_mask: Tensor,
    sources: Tensor,
    source_mask: Tensor,
    *,
    inverse_temperature: float,
    leak: float = 0.1,
) -> Tensor:
    """Attention (n_query_samples, n_query_fragments, n_source_samples, n_source_fragments) float32 itself.

    Arguments as for `CrossAttention`. Plain differentiable operations for a few samples at a time: for methods
    that need the attended vectors, and for pictures. Sums to one over the valid fragments of a source sample;
    rows of masked queries are meaningless but finite.
    """
    products = torch.einsum("cld,isd->clis", queries, sources)
    logits = F.leaky_relu(products, leak) * query_mask[:, :, None, None]
    square = (logits * logits).sum(1, keepdim=True)
    inverse = torch.where(square > 0, 1 / (square.clamp(min=EPS**4).sqrt() + EPS), 0.0)
    logits = (inverse_temperature * logits * inverse).masked_fill(~source_mask, -math.inf)
    return torch.softmax(logits, -1)


class _Block(NamedTuple):
    """What one block computes on its way to the cosines; the large tensors live in the scratch memory.

    Queries come last: sums over source fragments then run along memory, and sums over the queries of a sample are
    a product with the membership. The softmax is never divided by its sum z: p = weights / z.
    """

    products: Tensor  # (n, s, q) <v_r, w>
    inverse_norm: Tensor  # (n, s, o) of the cross-axis norm; zero where all products are zero
    weights: Tensor  # (n, s, q) z p
    gram_weights: Tensor  # (n, s, q) z G p
    z: Tensor  # (n, q)
    context_square: Tensor  # (n, q) squared length of the attended vector
    norms: Tensor  # (n, q) ||w|| ||context||, not clamped
    cosine: Tensor  # (n, q)


class _Scratch:
    """Named buffers that every block uses again: fresh memory costs more than the arithmetic done on it."""

    def __init__(self, like: Tensor) -> None:
        self._like = like
        self._buffers: dict[str, Tensor] = {}

    def __call__(self, name: str, *shape: int) -> Tensor:
        """An uninitialised tensor of this shape; overwrites what was last asked for under the name."""
        size = math.prod(shape)
        if name not in self._buffers or len(self._buffers[name]) < size:
            self._buffers[name] = self._like.new_empty(size)
        return self._buffers[name][:size].view(shape)


class _CrossAttention(torch.autograd.Function):
    """Blocks of (query samples) x (source samples); the backward pass computes every block again."""

    @staticmethod
    @forms.float32_forward
    def forward(
        ctx: Any,
        queries: Tensor,
        sources: Tensor,
        source_mask: Tensor,
        counts: list[int],
        source_counts: list[int],
        options: CrossAttention,
        differentiate: bool,
    ) -> Tensor:
        plan = Plan.make(queries, counts, source_counts, forms.memory_mb(queries, options.memory_mb))
        scratch = _Scratch(queries)
        scores = queries.new_empty(len(counts), len(source_counts))
        # The products are the costly part: they are kept for the backward pass where they fit.
        total = 4 * len(queries) * sum(source_counts)
        kept: list[Tensor] | None = (
            [] if differentiate and 2 * total <= forms.memory_mb(queries, options.memory_mb) * 2**20 else None
        )
        for group in plan.source_groups(sources, source_mask):
            for part in plan.query_groups:
                products = _products(queries[part.rows], group, scratch if kept is None else None)
                if kept is not None:
                    kept.append(products)
                block = _block(queries[part.rows], part, group, options, products, scratch)
                with forms.unique_indices():
                    scores[part.samples, group.rows] = _aggregate(block.cosine, part, options).T
        ctx.save_for_backward(queries, sources, source_mask)
        ctx.plan, ctx.options, ctx.kept = plan, options, kept
        return scores

    @staticmethod
    @once_differentiable
    @forms.float32_backward
    def backward(ctx: Any, grad_scores: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        queries, sources, source_mask = ctx.saved_tensors
        grad_queries, grad_sources = torch.zeros_like(queries), torch.zeros_like(sources)
        kept = iter(ctx.kept) if ctx.kept is not None else None
        scratch = _Scratch(queries)
        for group in ctx.plan.source_groups(sources, source_mask):
            grad_flat, grad_gram = torch.zeros_like(group.flat), torch.zeros_like(group.gram)
            for part in ctx.plan.query_groups:
                query = queries[part.rows]
                products = next(kept) if kept is not None else _products(query, group, scratch)
                block = _block(query, part, group, ctx.options, products, scratch)
                grad_cosine = _aggregate_backward(
                    block.cosine, part, grad_scores[part.samples, group.rows].T, ctx.options
                )
                grad_products, radial = _block_backward(block, grad_cosine, part, ctx.options, grad_gram, scratch)
                grad_flat.addmm_(grad_products, query)
                square = query.square().sum(-1, keepdim=True).clamp(min=EPS**2)
                grad_queries[part.rows] += torch.addmm(query * (-radial / square), grad_products.T, group.flat)
            # G = V V', so a symmetric gradient M of G adds 2 M V; grad_gram holds 2 M.
            n, length, _ = group.gram.shape
            grad_flat = grad_flat.view(n, length, -1).baddbmm_(grad_gram, group.flat.view(n, length, -1))
            with forms.unique_indices():
                grad_sources[group.rows, :length] += grad_flat
        return grad_queries, grad_sources, None, None, None, None, None


def _products(queries: Tensor, group: Sources, scratch: _Scratch | None) -> Tensor:
    """Inner products (n, s, q) of a group of sources and queries (q, dim), in fresh memory without a scratch."""
    out = scratch("products", len(group.flat), len(queries)) if scratch else None
    return torch.mm(group.flat, queries.T, out=out).view(*group.gram.shape[:2], -1)


def _activation(products: Tensor, leak: float, out: Tensor) -> Tensor:
    """LeakyReLU of the products, in one pass over them."""
    return torch.ops.aten.leaky_relu.out(products, leak, out=out)  # type: ignore[no-any-return]


def _per_sample(values: Tensor, part: Queries) -> Tensor:
    """Sums (n, s, o) of values (n, s, q) over the queries of each sample."""
    return torch.mm(values.flatten(0, 1), part.membership.T).view(*values.shape[:2], -1)


def _per_query(values: Tensor, part: Queries, out: Tensor) -> Tensor:
    """Values (n, s, o) of samples, given to each of their queries: (n, s, q)."""
    return torch.index_select(values, 2, part.owner, out=out)


def _block(
    queries: Tensor, part: Queries, group: Sources, options: CrossAttention, products: Tensor, scratch: _Scratch
) -> _Block:
    """All cosines between queries (q, dim) and what they attend to in a group of sources."""
    weights, spare = scratch("weights", *products.shape), scratch("spare", *products.shape)
    activation = _activation(products, options.leak, weights)
    square = _per_sample(torch.mul(activation, activation, out=spare), part)
    # A source fragment that is orthogonal to all queries of a sample has a zero norm without a gradient.
    inverse_norm = (square.sqrt() + EPS).reciprocal_().masked_fill_(square == 0, 0)
    logits = activation.mul_(_per_query(inverse_norm * options.inverse_temperature, part, spare))
    if group.mask is not None:
        logits.masked_fill_(~group.mask[..., None], -math.inf)
    if options.inverse_temperature > _SAFE_EXPONENT:  # else no logit is large: the norm makes them at most this
        logits -= logits.amax(1, keepdim=True)
    weights = logits.exp_()
    z = weights.sum(1)
    gram_weights = torch.bmm(group.gram, weights, out=scratch("gram weights", *products.shape))
    context_square = torch.mul(gram_weights, weights, out=spare).sum(1).clamp_(min=0)  # rounding may leave it below
    context_square /= z.square()
    norms = context_square.sqrt().mul_(queries.norm(dim=-1))
    cosine = torch.mul(weights, products, out=spare).sum(1).div_(z).div_(norms.clamp(min=EPS))
    return _Block(products, inverse_norm, weights, gram_weights, z, context_square, norms, cosine)


def _block_backward(
    block: _Block,
    grad_cosine: Tensor,
    part: Queries,
    options: CrossAttention,
    grad_gram: Tensor,
    scratch: _Scratch,
) -> tuple[Tensor, Tensor]:
    """From d loss / d cosine (n, q) to that of the products (n * s, q) and of log ||w|| (q, 1), sign reversed.

    Adds twice the gradient of the Gram matrices to `grad_gram` (n, s, s). A pair with a vanishing norm has
    cosine zero by definition and sends no gradient.
    """
    alive = block.norms > EPS
    through_product = torch.where(alive, grad_cosine / block.norms, 0.0).div_(block.z)  # d loss / d (p . s), by z
    radial = torch.where(alive, grad_cosine * block.cosine, 0.0)  # -d loss / d log of either norm
    # -2 d loss / d (p' G p), by z squared
    through_square = torch.where(alive, radial / block.context_square, 0.0).div_(block.z.square())

    # Softmax: the cosine does not change with the scale of p, so the usual centring term is zero.
    grad, spare = scratch("gradient", *block.products.shape), scratch("spare", *block.products.shape)
    temperature = options.inverse_temperature
    torch.mul(block.products, (temperature * through_product)[:, None], out=grad)
    grad.addcmul_(block.gram_weights, (temperature * through_square)[:, None], value=-1)
    grad *= block.weights

    other = torch.mul(block.weights, -through_square[:, None], out=block.gram_weights)
    grad_gram.baddbmm_(other, block.weights.transpose(1, 2))

    # Cross-axis norm: y = x / (||x|| + EPS), where x are the activations of one sample's queries.
    activation = _activation(block.products, options.leak, spare)
    along = _per_sample(torch.mul(grad, activation, out=other), part)
    norm = (block.inverse_norm.reciprocal() - EPS).clamp(min=EPS)  # infinite where the norm is zero
    grad *= _per_query(block.inverse_norm, part, other)
    radius = along * block.inverse_norm.square() / norm
    grad.addcmul_(activation, _per_query(radius, part, other), value=-1)

    torch.where(block.products > 0, grad, torch.mul(grad, options.leak, out=spare), out=grad)
    grad.addcmul_(block.weights, through_product[:, None])
    return grad.flatten(0, 1), radial.sum(0)[:, None]


def _aggregate(cosine: Tensor, part: Queries, options: CrossAttention) -> Tensor:
    """Cosines (n, q) -> scores (n, o); LogSumExp is taken about the largest cosine, so that it cannot overflow."""
    if options.aggregation == "mean":
        return _sums(cosine, part) / part.counts
    largest = torch.segment_reduce(cosine.T.contiguous(), "max", lengths=part.counts, unsafe=True).T
    terms = torch.exp(options.lse_scale * (cosine - largest[:, part.owner]))
    return largest + _sums(terms, part).log() / options.lse_scale


def _sums(values: Tensor, part: Queries) -> Tensor:
    """(n, q) -> (n, o), over the queries of each sample."""
    if not forms.blocked(values):
        return values @ part.membership.T
    return values.new_zeros(len(values), len(part.counts)).index_add_(1, part.owner, values)


def _aggregate_backward(cosine: Tensor, part: Queries, grad_scores: Tensor, options: CrossAttention) -> Tensor:
    """Gradient (n, q) of the cosines from that (n, o) of the scores."""
    if options.aggregation == "mean":
        return (grad_scores / part.counts)[:, part.owner]
    scores = _aggregate(cosine, part, options)
    return grad_scores[:, part.owner] * torch.exp(options.lse_scale * (cosine - scores[:, part.owner]))
