"""Interaction between the samples of one modality in a training batch (HREM, Fu et al., CVPR 2023; BatchFormer, 2022).

Each sample attends to its nearest neighbours among the batch's samples of its own modality. The layer serves
training alone: the loss also compares the plain embeddings with the enhanced ones, so that the encoders
take up what the interaction teaches, and an embedding never depends on a batch when it is evaluated.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from lgsf.models.base import Parameters
from lgsf.models.layers.encoders import l2_normalize
from lgsf.system.errors import LgsfError


class InteractionParameters(Parameters):
    """Relations between the samples of one modality in a training batch."""

    kind: Literal["none", "attention", "identity"] = Field(
        "attention", description="identity connects each sample to itself alone: the same parameters"
    )
    start: float = Field(0.3, ge=0, le=1, description="share of the run before it joins the loss")
    weight: float = Field(1.0, ge=0, description="of each enhanced pair in the mean, beside 1 of the plain pair")
    pairs: Literal["all", "cross", "enhanced"] = Field(
        "all", description="enhanced pairs in the loss: one side enhanced (cross), both sides (enhanced), or all three"
    )
    connect_top: float = Field(0.5, gt=0, le=1, description="share of the batch that a sample may attend to")
    mask_weight: float = Field(1.0, ge=0, description="weight of the relevance in the attention's logits")
    heads: int = Field(8, ge=1, description="attention heads; they divide embedding_dim")
    ff: int = Field(512, ge=1, description="hidden width of the layer's FFN")
    dropout: float = Field(0.1, ge=0, lt=1, description="on the two residual branches")


class SampleInteraction(nn.Module):
    """A transformer layer (post-norm, as HREM's) whose sequence is the batch.

    `attention` connects every sample to the `connect_top` share of the batch that is closest to it, itself
    included; `identity` connects it to itself alone: the same module with nothing to learn from the others.
    """

    def __init__(self, options: InteractionParameters, *, dim: int) -> None:
        super().__init__()
        if dim % options.heads:
            raise LgsfError(
                f"interaction.heads: {options.heads} does not divide the embedding dimension {dim}; change one."
            )
        self.kind, self.heads, self.dropout = options.kind, options.heads, options.dropout
        self.connect_top, self.mask_weight = options.connect_top, options.mask_weight
        self.project = nn.Linear(dim, 3 * dim)
        self.merge = nn.Linear(dim, dim)
        self.ffn = nn.Sequential(nn.Linear(dim, options.ff), nn.ReLU(), nn.Linear(options.ff, dim))
        self.norms = nn.ModuleList([nn.LayerNorm(dim), nn.LayerNorm(dim)])
        nn.init.xavier_uniform_(self.project.weight)
        nn.init.zeros_(self.project.bias)
        nn.init.zeros_(self.merge.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Enhanced embeddings: (..., n, dim) float32 of unit length -> the same shape and length.

        Leading axes are groups that do not hear each other, such as images and captions.
        """
        parts = self.project(x).view(*x.shape[:-1], 3, self.heads, -1).movedim(-3, 0).transpose(-3, -2)
        query, key, value = parts  # (..., heads, n, channels)
        scores = query @ key.mT / math.sqrt(query.shape[-1]) + self.relations(x).unsqueeze(-3)
        mixed = self.merge((scores.softmax(dim=-1) @ value).transpose(-3, -2).flatten(-2))
        x = self.norms[0](x + F.dropout(mixed, self.dropout, self.training))
        x = self.norms[1](x + F.dropout(self.ffn(x), self.dropout, self.training))
        return l2_normalize(x)

    def relations(self, x: Tensor) -> Tensor:
        """What is added to the attention's logits: (..., n, dim) -> (..., n, n) float32.

        `mask_weight` times the relevance exp(-distance), and minus infinity where two samples are not
        connected. The relevance passes gradients to the embeddings, the choice of neighbours does not.
        """
        n = x.shape[-2]
        cosine = x @ x.mT
        connected = torch.eye(n, dtype=torch.bool, device=x.device).expand_as(cosine)
        if self.kind == "attention":
            nearest = cosine.detach().topk(max(1, int(n * self.connect_top)), dim=-1, sorted=False).indices
            connected = connected.scatter(-1, nearest, True)
        # Unit vectors: squared distance 2 - 2 cos. The bound keeps the root's gradient finite at distance 0.
        distance = (2 - 2 * cosine).clamp(min=1e-6).sqrt()
        return (self.mask_weight * torch.exp(-distance)).masked_fill(~connected, -math.inf)
