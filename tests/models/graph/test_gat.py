"""Dense graph attention against torch_geometric on the same weights; edges; the block around it."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor
from torch_geometric.nn import GATConv, GATv2Conv

from lgsf.models.graph.gat import GraphAttention, GraphBlock, GraphParameters, box_iou, build_edges
from lgsf.models.graph.residual import merged
from lgsf.system.errors import LgsfError

Kind = Literal["gatv2", "gat"]
Edges = Literal["complete", "self", "topk", "iou"]
DIM, HEADS = 12, 3
COUNTS = [5, 1, 7, 3]
MASK = torch.arange(7) < torch.tensor(COUNTS)[:, None]


def _inputs() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    regions = torch.randn(4, 7, DIM, generator=generator) * MASK.unsqueeze(2)
    corners = torch.rand(4, 7, 2, 2, generator=generator).sort(dim=2).values
    return regions, corners.flatten(2)


def _options(kind: Kind = "gatv2", edges: Edges = "complete", **changes: object) -> GraphParameters:
    values = {"heads": HEADS, "ff": 16, "topk": 2, "iou": 0.05, "dropout": 0.0, "attention_dropout": 0.0}
    return GraphParameters.model_validate({"kind": kind, "edges": edges, **values, **changes})


def _library(layer: GraphAttention, kind: Kind) -> torch.nn.Module:
    """The library's layer with our weights."""
    with torch.no_grad():
        layer.bias.uniform_(-1, 1)
        conv: torch.nn.Module
        if kind == "gatv2":
            assert layer.target is not None
            layer.source.bias.uniform_(-1, 1)
            layer.target.bias.uniform_(-1, 1)
            conv = GATv2Conv(DIM, DIM // HEADS, heads=HEADS, add_self_loops=False)
            conv.lin_l.load_state_dict(layer.source.state_dict())
            conv.lin_r.load_state_dict(layer.target.state_dict())
            conv.att.copy_(layer.attention)
        else:
            conv = GATConv(DIM, DIM // HEADS, heads=HEADS, add_self_loops=False)
            conv.lin.load_state_dict(layer.source.state_dict())
            conv.att_src.copy_(layer.attention[:1])
            conv.att_dst.copy_(layer.attention[1:])
        conv.bias.copy_(layer.bias)
    return conv


@pytest.mark.parametrize("kind", ["gatv2", "gat"])
@pytest.mark.parametrize("edges", ["complete", "self", "topk", "iou"])
def test_equals_torch_geometric(kind: Kind, edges: Edges) -> None:
    torch.manual_seed(1)
    options = _options(kind, edges)
    layer = GraphAttention(options, dim=DIM)
    library = _library(layer, kind)
    regions, boxes = _inputs()
    graph = build_edges(options, regions, MASK, boxes)
    dense, sparse = regions.clone().requires_grad_(), regions.clone().requires_grad_()
    mixed, attention = layer(dense, graph)
    ours = merged(mixed, layer.bias)
    torch.testing.assert_close(attention.sum(3), torch.ones(4, HEADS, 7))
    theirs = []
    for sample, count in enumerate(COUNTS):
        target, source = graph[sample, :count, :count].nonzero(as_tuple=True)
        theirs.append(library(sparse[sample, :count], torch.stack([source, target])))
    torch.testing.assert_close(ours[MASK], torch.cat(theirs), atol=1e-5, rtol=0)
    upstream = torch.randn(int(MASK.sum()), DIM)
    (ours[MASK] * upstream).sum().backward()
    (torch.cat(theirs) * upstream).sum().backward()
    torch.testing.assert_close(dense.grad, sparse.grad, atol=1e-5, rtol=0)
    assert layer.source.weight.grad is not None
    library_weight = library.lin_l.weight if kind == "gatv2" else library.lin.weight
    torch.testing.assert_close(layer.source.weight.grad, library_weight.grad, atol=1e-5, rtol=0)


def test_edges_by_hand() -> None:
    regions = torch.tensor([[[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.2, 0.9], [5.0, 5.0]]])
    mask = torch.tensor([[True, True, True, True, False]])
    boxes = torch.tensor([[[0, 0, 2, 2], [1, 0, 3, 2], [4, 4, 5, 5], [4, 4, 5, 5], [0, 0, 2, 2]]]) / 5.0
    eye = torch.eye(5, dtype=torch.bool)
    complete = build_edges(_options(edges="complete"), regions, mask, None)[0]
    assert (complete[:4, :4]).all()
    assert complete[4].tolist() == eye[4].tolist()
    assert complete[:, 4].tolist() == eye[4].tolist()
    assert (build_edges(_options(edges="self"), regions, mask, None)[0] == eye).all()
    nearest = build_edges(_options(edges="topk", topk=1), regions, mask, None)[0]
    assert nearest.nonzero().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1], [2, 2], [2, 3], [3, 2], [3, 3], [4, 4]]
    torch.testing.assert_close(box_iou(boxes)[0, 0], torch.tensor([1.0, 1 / 3, 0.0, 0.0, 1.0]))
    overlap = build_edges(_options(edges="iou", iou=0.3), regions, mask, boxes)[0]
    assert overlap.nonzero().tolist() == nearest.nonzero().tolist()
    assert (build_edges(_options(edges="iou", iou=0.4), regions, mask, boxes)[0].sum(1).tolist()) == [1, 1, 2, 2, 1]


def test_topk_joins_all_where_there_are_few() -> None:
    regions, _ = _inputs()
    few = build_edges(_options(edges="topk", topk=50), regions, MASK, None)
    assert (few == build_edges(_options(edges="complete"), regions, MASK, None)).all()


def test_boxes_and_heads_that_do_not_fit_are_refused() -> None:
    regions, _ = _inputs()
    with pytest.raises(LgsfError, match=r"graph\.edges.*no.*complete or topk"):
        build_edges(_options(edges="iou"), regions, MASK, None)
    with pytest.raises(LgsfError, match=r"graph\.heads: 5 does not divide.*12"):
        GraphAttention(_options(heads=5), dim=DIM)


@pytest.mark.parametrize("kind", ["gatv2", "gat"])
def test_block_starts_as_the_identity_and_learns(kind: Kind) -> None:
    torch.manual_seed(0)
    options = _options(kind)
    block = GraphBlock(options, dim=DIM)
    regions, _ = _inputs()
    graph = build_edges(options, regions, MASK, None)
    out, _ = block(regions, MASK, graph)
    assert torch.equal(out, regions)
    out.square().sum().backward()
    assert block.gains.grad is not None
    assert (block.gains.grad.abs().sum(1) > 0).all()
    ready = GraphBlock(_options(kind, zero_init=False), dim=DIM)
    assert (ready(regions, MASK, graph)[0] - regions)[MASK].abs().max() > 0.1


def test_block_hears_valid_regions_alone() -> None:
    torch.manual_seed(0)
    options = _options(zero_init=False)
    block = GraphBlock(options, dim=DIM)
    regions, _ = _inputs()
    together, _ = block(regions, MASK, build_edges(options, regions, MASK, None))
    assert (together[~MASK] == 0).all()
    for sample, count in enumerate(COUNTS):
        alone = regions[sample : sample + 1, :count]
        mask = torch.ones(1, count, dtype=torch.bool)
        out, _ = block(alone, mask, build_edges(options, alone, mask, None))
        torch.testing.assert_close(out[0], together[sample, :count], atol=1e-6, rtol=0)


def test_self_edges_hear_nothing_and_have_the_same_parameters() -> None:
    torch.manual_seed(0)
    block = GraphBlock(_options(edges="self", zero_init=False), dim=DIM)
    regions, _ = _inputs()
    edges = build_edges(_options(edges="self"), regions, MASK, None)
    before, _ = block(regions, MASK, edges)
    changed = regions.clone()
    changed[0, 2] += 1
    after, _ = block(changed, MASK, edges)
    assert (before - after).abs().sum(2).nonzero().tolist() == [[0, 2]]
    assert sum(p.numel() for p in block.parameters()) == sum(
        p.numel() for p in GraphBlock(_options(edges="complete"), dim=DIM).parameters()
    )
