"""Graph attention over each image's regions: GATv2 (Brody et al., ICLR 2022, eq. 7), GAT (Velickovic et al., 2018).

Dense and batched: a graph is a boolean matrix per image (lgsf/models/graph/edge_scores.py has the scores of GATv2). Any
convolution of torch_geometric.nn may stand in its place over the same edges (lgsf/models/graph/convolution.py).
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from lgsf.models.base import Parameters
from lgsf.models.graph.convolution import SparseConvolution
from lgsf.models.graph.edge_scores import SLOPE, along_heads, edge_scores_v2
from lgsf.models.graph.geometry import BoxGeometry
from lgsf.models.graph.residual import add_branch, add_heads
from lgsf.system.errors import LgsfError

NO_BOXES = "graph.edges: iou and graph.geometry need region boxes and this dataset has none; choose complete or topk, without it."


class GraphParameters(Parameters):
    """Relations between the regions of one image."""

    kind: str = Field(
        "gatv2",
        pattern=r"^(none|gatv2|gat|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$",
        description="none removes the block, its FFN included; module:Class is any convolution of torch_geometric.nn",
    )
    arguments: dict[str, Any] = Field(
        default_factory=dict, description="further arguments of a convolution that is named by module:Class"
    )
    place: Literal["fragments", "features", "branch"] = Field(
        "fragments",
        description="fragments: between encoder and pooling; features: before the encoder; branch: beside the pooling",
    )
    branch_share: float = Field(
        0.2, ge=0, le=1, description="place branch: share of the mean of the related regions in the vector, as in HREM"
    )
    geometry: bool = Field(
        False, description="gat, gatv2: where two boxes lie to each other adds to their edge's score"
    )
    learning_rate_factor: float = Field(1.0, gt=0, description="on the learning rate of the block")
    edges: Literal["complete", "self", "topk", "iou"] = Field(
        "complete", description="self keeps only the self-edges: the same parameters without relations"
    )
    topk: int = Field(8, ge=1, description="neighbours of largest cosine for edges topk")
    iou: float = Field(0.1, ge=0, lt=1, description="least overlap of boxes for edges iou")
    layers: int = Field(1, ge=1, description="graph blocks, one after the other")
    heads: int = Field(8, ge=1, description="attention heads; they divide the width of what the graph is given")
    ff: int = Field(512, ge=1, description="hidden width of the block's FFN")
    dropout: float = Field(0.1, ge=0, lt=1, description="on the two residual branches")
    attention_dropout: float = Field(0.0, ge=0, lt=1, description="on the attention weights")
    zero_init: bool = Field(True, description="start as the identity: residual gains begin at 0, not 1")


def build_edges(options: GraphParameters, regions: Tensor, mask: Tensor, boxes: Tensor | None) -> Tensor:
    """Which region hears which: (n, n_regions, n_regions) bool, [b, i, j] True where i receives from j.

    regions (n, n_regions, region_dim) float32, mask (n, n_regions) bool, boxes (n, n_regions, 4) float32.
    Every region hears itself, padding included, and valid regions hear valid ones alone. `topk` joins a
    region to the k others of largest cosine, `iou` to those whose boxes overlap by more than `iou`.
    Raises LgsfError if boxes are needed and missing.
    """
    valid = mask.unsqueeze(1) & mask.unsqueeze(2)
    itself = torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
    if options.edges == "self":
        return itself.expand_as(valid)
    if options.edges == "topk":
        unit = F.normalize(regions, dim=2)
        cosine = (unit @ unit.transpose(1, 2)).masked_fill(~valid | itself, -math.inf)
        nearest = cosine.topk(min(options.topk, cosine.shape[2]), dim=2).indices
        valid = valid & torch.zeros_like(valid).scatter(2, nearest, True)
    elif options.edges == "iou":
        if boxes is None:
            raise LgsfError(NO_BOXES)
        valid = valid & (box_iou(boxes) > options.iou)
    return valid | itself


def box_iou(boxes: Tensor) -> Tensor:
    """Overlap of the boxes of each image: (n, n_regions, 4) as x0 y0 x1 y1 -> (n, n_regions, n_regions) in 0..1."""
    low = torch.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])
    high = torch.minimum(boxes[:, :, None, 2:], boxes[:, None, :, 2:])
    shared = (high - low).clamp(min=0).prod(3)
    area = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(2)
    union = area.unsqueeze(1) + area.unsqueeze(2) - shared
    return shared / union.clamp(min=1e-12)


def _heads(x: Tensor, heads: int) -> Tensor:
    """(n, n_regions, dim) -> (n, heads, n_regions, dim / heads), copied once so that no later product has to."""
    return x.view(*x.shape[:2], heads, -1).transpose(1, 2).contiguous()


class GraphAttention(nn.Module):
    """One multi-head graph attention layer, heads concatenated: `torch_geometric.nn.GATv2Conv` or `GATConv`.

    `gat` has one projection for both ends of an edge and scores leaky_relu(a_l' l_j + a_r' r_i); `gatv2` has
    two projections and scores a' leaky_relu(l_j + r_i).
    """

    def __init__(self, options: GraphParameters, *, dim: int) -> None:
        super().__init__()
        kind, heads = options.kind, options.heads
        if dim % heads:
            raise LgsfError(
                f"graph.heads: {heads} does not divide {dim}, the width of what the graph is given; change one."
            )
        self.heads = heads
        self.source = nn.Linear(dim, dim, bias=kind == "gatv2")
        self.target = nn.Linear(dim, dim) if kind == "gatv2" else None
        ends = 1 if kind == "gatv2" else 2
        self.attention = nn.Parameter(torch.empty(ends, heads, dim // heads))
        self.bias = nn.Parameter(torch.zeros(dim))
        self.geometry = BoxGeometry(heads=heads) if options.geometry else None
        self.dropout = nn.Dropout(options.attention_dropout)
        for layer in (self.source, self.target):
            if layer is not None:
                nn.init.xavier_uniform_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        nn.init.xavier_uniform_(self.attention)

    def forward(self, x: Tensor, edges: Tensor, boxes: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(n, n_regions, dim) float32, (n, n_regions, n_regions) bool -> what each head mixes, and the attention.

        Mixed (n, heads, n_regions, dim / heads), heads not yet side by side and without the bias
        (lgsf.models.graph.residual.merged). Boxes (n, n_regions, 4) are asked for if the geometry counts. Attention
        (n, heads, n_regions, n_regions): [.., i, j] is what region i takes from j; rows sum to 1.
        """
        sources = self.source(x)
        if self.target is not None:
            scores = edge_scores_v2(sources, self.target(x), self.attention[0])
        else:
            given, taken = (along_heads(sources, vectors) for vectors in self.attention)
            scores = F.leaky_relu(taken.unsqueeze(3) + given.unsqueeze(2), SLOPE)
        if self.geometry is not None:
            assert boxes is not None
            scores = scores + self.geometry(boxes)
        attention = scores.masked_fill(~edges.unsqueeze(1), -math.inf).softmax(dim=3)
        return self.dropout(attention) @ _heads(sources, self.heads), attention


class GraphBlock(nn.Module):
    """x + g1 * attention(norm(x)), then + g2 * FFN(norm(.)), with learned gains per channel.

    Gains start at zero if `zero_init`: the block is then the identity when training starts, so that it cannot
    hold back the encoders while they leave the collapsed state; it comes in as its gains grow. Dropout takes
    the same channels from all regions of an image, which needs a tenth of the random numbers.
    """

    def __init__(self, options: GraphParameters, *, dim: int) -> None:
        super().__init__()
        self.attention: GraphAttention | SparseConvolution
        if ":" in options.kind:
            if options.geometry:
                raise LgsfError(f"graph.geometry is for kinds gat and gatv2, not for {options.kind}: leave it out.")
            self.attention = SparseConvolution(
                options.kind,
                dim=dim,
                heads=options.heads,
                dropout=options.attention_dropout,
                arguments=options.arguments,
            )
        else:
            self.attention = GraphAttention(options, dim=dim)
        self.ffn = nn.Sequential(nn.Linear(dim, options.ff), nn.ReLU(), nn.Linear(options.ff, dim))
        self.norms = nn.ModuleList([nn.LayerNorm(dim), nn.LayerNorm(dim)])
        self.gains = nn.Parameter(torch.zeros(2, dim) if options.zero_init else torch.ones(2, dim))
        self.dropout = options.dropout

    def forward(
        self, x: Tensor, mask: Tensor, edges: Tensor, boxes: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Regions (n, n_regions, dim), their mask, edges and boxes -> as x, zero off the mask; and the attention, if any."""
        normed = self.norms[0](x)
        if isinstance(self.attention, SparseConvolution):
            attention, x = None, x + self._gain(0, x) * self.attention(normed, mask, edges)
        else:
            mixed, attention = self.attention(normed, edges, boxes)
            x = add_heads(x, mixed, self.attention.bias, self._gain(0, x))
        return add_branch(x, self.ffn(self.norms[1](x)), self._gain(1, x), mask), attention

    def _gain(self, branch: int, x: Tensor) -> Tensor:
        """A residual branch's gains for each image, some of them dropped in training: (n, 1, dim)."""
        return F.dropout(self.gains[branch].expand(len(x), 1, -1), self.dropout, self.training)
