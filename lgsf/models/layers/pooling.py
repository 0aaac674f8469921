"""From fragments to one vector: mean, mean of the k largest, and GPO (Chen et al., CVPR 2021, section 3)."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from lgsf.data.batches.host import remember, upload
from lgsf.models.kernels import forms
from lgsf.models.kernels.gru import RaggedGRU
from lgsf.models.kernels.sorting import sort_descending

GPO_DIM = 32  # positional encoding and recurrent state, as published
GPO_TEMPERATURE = 0.1
_LEAN_LENGTH, _LEAN_RIDGE = 40, 0.1  # lengths that a lean is fitted on, and how small it keeps the weights


class MeanPooling(nn.Module):
    """The mean of the valid fragments."""

    def forward(self, fragments: Tensor, mask: Tensor) -> Tensor:
        """(n, length, dim) float32, (n, length) bool with at least one True per row -> (n, dim)."""
        weights = mask.to(fragments.dtype) / mask.sum(1, keepdim=True)
        return torch.bmm(weights.unsqueeze(1), fragments).squeeze(1)


class MaxKPooling(nn.Module):
    """The mean of the k largest values of each dimension, of all values where there are fewer."""

    def __init__(self, *, k: int) -> None:
        super().__init__()
        self.k = k

    def forward(self, fragments: Tensor, mask: Tensor) -> Tensor:
        """(n, length, dim) float32, (n, length) bool with at least one True per row -> (n, dim)."""
        taken = mask.sum(1, keepdim=True).clamp(max=self.k)
        position = torch.arange(fragments.shape[1], device=fragments.device)
        return sorted_sum(fragments, mask, (position < taken) / taken)


class GeneralizedPooling(nn.Module):
    """GPO: a learned weight for each rank, applied to the sorted values of each dimension.

    The weights come from a bidirectional GRU over sinusoidal positions and depend on nothing but the
    number of fragments, so they are computed once for each length up to the longest.

    As published (`lean` 0) the ranks' first weights are a draw. Largest and smallest values serve equally well, so
    training moves towards the one or the other end, and may stand between them for long: which of it happens is up to
    the draw and the order of the batches. With a lean, the weight of rank r starts near (1 + r) ** -lean.
    """

    def __init__(self, *, lean: float = 0.0) -> None:
        super().__init__()
        self.gru = RaggedGRU(input_dim=GPO_DIM, dim=GPO_DIM, bidirectional=True)
        self.linear = nn.Linear(GPO_DIM, 1, bias=False)
        if lean and not self.linear.weight.is_meta:  # a model that is only sized has no numbers to fit
            self._lean(lean)

    def weights(self, longest: int) -> Tensor:
        """(longest, longest) float32: row l - 1 weighs the ranks of a sample with l fragments and sums to 1."""
        with forms.float32_island(self.linear.weight):
            states, ranks = self._states(longest)
            logits = self.linear(states).squeeze(2).masked_fill(ranks.beyond, -math.inf)
            return torch.softmax(logits / GPO_TEMPERATURE, dim=1)

    def _states(self, longest: int) -> tuple[Tensor, _Ranks]:
        """(longest, longest, GPO_DIM) float32, row l - 1 for l fragments, and which ranks those have."""
        weight = self.linear.weight
        ranks = _Ranks.of(longest, weight.device)
        return self.gru.look_up(ranks.positions.to(weight.dtype), ranks.rows, ranks.mask), ranks

    @torch.no_grad()
    def _lean(self, lean: float) -> None:
        """Set the linear layer to the ridge regression of the wanted logits on the states that were drawn."""
        ranks = torch.arange(_LEAN_LENGTH)
        wanted = -lean * GPO_TEMPERATURE * ranks.to(self.linear.weight).log1p()
        # A softmax takes no notice of what all ranks of a length share; each length counts as much as any other.
        pairs = [
            ((own - own.mean(0)) / math.sqrt(n), (wanted[:n] - wanted[:n].mean()) / math.sqrt(n))
            for n, own in ((n, states[:n]) for n, states in enumerate(self._states(_LEAN_LENGTH)[0], start=1))
        ]
        states, logits = (torch.cat(part) for part in zip(*pairs, strict=True))
        gram = states.T @ states + _LEAN_RIDGE * torch.eye(GPO_DIM)
        self.linear.weight.copy_(torch.linalg.solve(gram, states.T @ logits))

    def forward(self, fragments: Tensor, mask: Tensor) -> Tensor:
        """(n, length, dim) float32, (n, length) bool with at least one True per row -> (n, dim)."""
        return sorted_sum(fragments, mask, self.weights(mask.shape[1])[mask.sum(1) - 1])


Pooling = MeanPooling | MaxKPooling | GeneralizedPooling


def build_pooling(kind: Literal["mean", "maxk", "gpo"], *, k: int, lean: float = 0.0) -> Pooling:
    """The pooling of that name; `k` counts for `maxk` alone, `lean` for `gpo`."""
    if kind == "mean":
        return MeanPooling()
    return MaxKPooling(k=k) if kind == "maxk" else GeneralizedPooling(lean=lean)


def sorted_sum(fragments: Tensor, mask: Tensor, weights: Tensor) -> Tensor:
    """Sum over ranks of weight times value, the valid values of each dimension sorted in falling order.

    (n, length, dim) float32, (n, length) bool, (n, length) float32, zero beyond the valid count -> (n, dim).
    """
    pooled: Tensor = _SortedSum.apply(fragments, mask, weights)  # type: ignore[no-untyped-call]
    return pooled


class _SortedSum(torch.autograd.Function):
    """Each value receives the weight of its rank: the gradient is one scatter, the sorted values stay constant."""

    @staticmethod
    @forms.float32_forward
    def forward(ctx: Any, fragments: Tensor, mask: Tensor, weights: Tensor) -> Tensor:
        last = torch.finfo(fragments.dtype).min  # padding comes behind all values
        values, places = sort_descending(fragments.masked_fill(~mask.unsqueeze(2), last).transpose(0, 1))
        beyond = torch.arange(len(values), device=mask.device).unsqueeze(1) >= mask.sum(1)
        values.masked_fill_(beyond.unsqueeze(2), 0.0)
        ctx.save_for_backward(values, places, weights)
        return torch.bmm(weights.unsqueeze(1), values.transpose(0, 1)).squeeze(1)

    @staticmethod
    @once_differentiable
    @forms.float32_backward
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, Tensor]:  # type: ignore[override]
        values, places, weights = ctx.saved_tensors
        shares = weights.T.unsqueeze(2) * grad
        with forms.unique_indices():
            grad_fragments = torch.empty_like(values).scatter_(0, places, shares).transpose(0, 1)
        return grad_fragments, None, torch.bmm(values.transpose(0, 1), grad.unsqueeze(2)).squeeze(2)


class _Ranks(NamedTuple):
    """What the pooling weights of all lengths up to the longest are made from.

    positions  (longest, GPO_DIM) float32
    rows       (longest, longest) int64, the ranks 0, 1, ... in every row
    mask       (longest, longest) bool, row l - 1 is True for the ranks of l fragments;  beyond  its opposite
    """

    positions: Tensor
    rows: Tensor
    mask: Tensor
    beyond: Tensor

    @staticmethod
    @lru_cache(maxsize=512)
    def of(longest: int, device: torch.device) -> _Ranks:
        """On `device`, once and for all."""
        ranks = torch.arange(longest, device="cpu")
        mask = ranks <= ranks.unsqueeze(1)
        with torch.inference_mode(False):  # what evaluation made may serve a training step
            constants = (_positions(longest), ranks.expand(longest, -1).contiguous(), mask, ~mask)
            made = _Ranks(*(upload(constant, device) for constant in constants))
        remember(made.mask, mask)
        return made


def _positions(length: int) -> Tensor:
    """Sinusoidal encoding (Vaswani et al. 2017) of the ranks 0 .. length - 1: (length, GPO_DIM)."""
    rates = torch.exp(torch.arange(0, GPO_DIM, 2, device="cpu") * (-math.log(10000.0) / GPO_DIM))
    angles = torch.arange(length, device="cpu").unsqueeze(1) * rates
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)
