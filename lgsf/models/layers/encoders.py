"""Encoders of regions and words: FC with Xavier weights, (bi-)GRU over word vectors (SCAN, Lee et al. 2018)."""

from __future__ import annotations

import math
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from lgsf.models.base import Parameters
from lgsf.models.kernels import forms
from lgsf.models.kernels.gru import RaggedGRU
from lgsf.models.pretrained import WordVectors


class WordParameters(Parameters):
    """Options of every encoder that starts from single words."""

    word_dim: int = Field(300, ge=1, description="width of the word vectors")
    word_vectors: str | None = Field(
        None, min_length=1, description="file of vectors that the words start from, such as glove.6B.300d.txt"
    )


def l2_normalize(x: Tensor, *, dim: int = -1, eps: float = 1e-8) -> Tensor:
    """`x` divided by its Euclidean norm along `dim`.

    A row whose norm is below `eps` passes unchanged, so that a zero row has a finite value and a finite
    gradient (published codes divide by zero there, or multiply the gradient by 1 / eps).
    """
    if x.dtype == torch.bfloat16:  # what autocast made; a norm has float32 in every precision
        x = x.float()
    if not forms.blocked(x):
        unit: Tensor = _UnitLength.apply(x, dim, eps)  # type: ignore[no-untyped-call]
        return unit
    squared = x.square().sum(dim, keepdim=True)
    large = squared > eps * eps
    return x * torch.where(large, squared, 1.0).rsqrt()


class _UnitLength(torch.autograd.Function):
    """`l2_normalize` in half as many launches, its gradient written out; in float32 whatever autocast says."""

    @staticmethod
    @forms.float32_forward
    def forward(ctx: Any, x: Tensor, dim: int, eps: float) -> Tensor:
        norm = torch.linalg.vector_norm(x, dim=dim, keepdim=True)
        small = norm <= eps
        norm.masked_fill_(small, 1.0)
        unit: Tensor = x / norm
        ctx.save_for_backward(unit, norm, small)
        ctx.dim = dim
        return unit

    @staticmethod
    @once_differentiable
    @forms.float32_backward
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        unit, norm, small = ctx.saved_tensors
        radial = (unit * grad).sum(ctx.dim, keepdim=True).masked_fill_(small, 0.0)
        return torch.addcmul(grad, unit, radial, value=-1).div_(norm), None, None


def xavier_linear(in_dim: int, out_dim: int) -> nn.Linear:
    """A linear layer as VSE++ and its descendants start it: U(-r, r), r = sqrt(6 / (in + out)), bias 0."""
    layer = nn.Linear(in_dim, out_dim)
    bound = math.sqrt(6.0 / (in_dim + out_dim))
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound)
        layer.bias.zero_()
    return layer


class RegionEncoder(nn.Module):
    """One linear layer over each region's feature vector."""

    def __init__(self, *, region_dim: int, dim: int) -> None:
        super().__init__()
        self.fc = xavier_linear(region_dim, dim)

    def forward(self, regions: Tensor, mask: Tensor) -> Tensor:
        """(n, n_regions, region_dim) float32, (n, n_regions) bool -> (n, n_regions, dim), zero off the mask."""
        out: Tensor = self.fc(regions)
        return out.masked_fill(~mask.unsqueeze(2), 0.0)


class GRUEncoder(nn.Module):
    """Word vectors and a recurrent layer over them; both directions averaged if `bidirectional`.

    kind  what tables call it: GRU or BiGRU
    """

    def __init__(
        self,
        *,
        vocabulary_size: int,
        word_dim: int,
        dim: int,
        bidirectional: bool = False,
        vectors: WordVectors | None = None,
    ) -> None:
        """Words start at random, those in `vectors` from their vector."""
        super().__init__()
        self.kind = "BiGRU" if bidirectional else "GRU"
        self.embed = nn.Embedding(vocabulary_size, word_dim)
        nn.init.uniform_(self.embed.weight, -0.1, 0.1)
        if vectors is not None:
            with torch.no_grad():
                self.embed.weight[vectors.rows] = vectors.values
        self.rnn = RaggedGRU(input_dim=word_dim, dim=dim, bidirectional=bidirectional)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(n, n_words) int64, (n, n_words) bool, valid words first -> (n, n_words, dim), zero on padding."""
        if not forms.blocked(self.embed.weight):
            return self.rnn.look_up(self.embed.weight, tokens, mask)
        words, index = torch.unique(tokens, return_inverse=True)
        return self.rnn.look_up(self.embed(words), index, mask)


class BiGRUEncoder(GRUEncoder):
    """`GRUEncoder` in both directions."""

    def __init__(self, *, vocabulary_size: int, word_dim: int, dim: int, vectors: WordVectors | None = None) -> None:
        super().__init__(
            vocabulary_size=vocabulary_size, word_dim=word_dim, dim=dim, bidirectional=True, vectors=vectors
        )


def last_state(states: Tensor, mask: Tensor) -> Tensor:
    """The state after each sequence's last valid step: (n, length, dim), (n, length) bool -> (n, dim)."""
    last = mask.sum(1) - 1
    return states[torch.arange(len(states), device=states.device), last]
