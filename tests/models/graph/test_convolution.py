"""Convolutions of torch_geometric by name: the dense GATv2 through the whole model, and layers that have no dense form."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lgsf.models.base import Progress
from lgsf.models.lgsf import LGSF
from lgsf.system.errors import LgsfError
from tests.models.test_lgsf import model
from tests.support.properties import check_evaluation, check_training, ragged_batch

AFTER = Progress(step=90, total_steps=100, hardest=True)
GATV2 = "torch_geometric.nn:GATv2Conv"
# Of the sparse layer's parameters, under our names for the dense one.
NAMES = {"source": "convolution.lin_l", "target": "convolution.lin_r"}


def graph(kind: str, **changes: Any) -> LGSF:
    return model(graph={"kind": kind, "zero_init": False, "dropout": 0.0, **changes})


def paired(**changes: Any) -> tuple[LGSF, LGSF]:
    """LGSF with the dense GATv2, and with the library's layer on the same weights."""
    own = {"arguments": {"add_self_loops": False}}
    dense, sparse = (graph(kind, **more, **changes) for kind, more in (("gatv2", {}), (GATV2, own)))
    weights = {}
    for name, tensor in dense.state_dict().items():
        for ours, theirs in NAMES.items():
            name = name.replace(f".attention.{ours}.", f".attention.{theirs}.")
        name = name.replace(".attention.attention", ".attention.convolution.att")
        name = name.replace(".attention.bias", ".attention.convolution.bias")
        weights[name] = tensor
    sparse.load_state_dict(weights)
    return dense, sparse


@pytest.mark.parametrize("edges", ["complete", "self", "topk"])
def test_dense_gatv2_equals_the_library_through_the_whole_model(edges: str) -> None:
    dense, sparse = paired(edges=edges, topk=2)
    batch = ragged_batch()
    gradients = []
    for one in (dense, sparse):
        one.train()
        torch.manual_seed(0)  # the dropout of the interaction
        images = one.encode_images(batch.regions, batch.region_mask, batch.boxes)
        texts = one.encode_texts(batch.tokens, batch.token_mask)
        loss, _ = one.loss(batch, images, texts, AFTER)
        loss.backward()
        layer = one.graph[0].attention
        weight: Tensor = layer.source.weight if one is dense else layer.convolution.lin_l.weight
        assert weight.grad is not None and one.image_encoder.fc.weight.grad is not None
        gradients.append((loss.detach(), images.vector, weight.grad, one.image_encoder.fc.weight.grad))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("torch_geometric.nn:TransformerConv", {"beta": True}),
        ("torch_geometric.nn:GCNConv", {}),
        ("torch_geometric.nn:GATConv", {"concat": False}),
        ("torch_geometric.nn:SAGEConv", {"aggr": "max"}),
    ],
)
def test_layers_without_a_dense_form_keep_every_promise(kind: str, arguments: dict[str, Any]) -> None:
    made = graph(kind, arguments=arguments)
    check_evaluation(made)
    check_training(model(graph={"kind": kind, "arguments": arguments}))
    assert made.explain(ragged_batch()) == {}


def test_relations_reach_the_embedding() -> None:
    made, batch = graph("torch_geometric.nn:TransformerConv"), ragged_batch()
    alone = graph("torch_geometric.nn:TransformerConv", edges="self")
    alone.load_state_dict(made.state_dict())
    vectors = [one.eval().encode_images(batch.regions, batch.region_mask, batch.boxes).vector for one in (made, alone)]
    assert vectors[0] is not None and vectors[1] is not None
    assert not torch.allclose(vectors[0], vectors[1], atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "arguments", "sentence"),
    [
        ("torch_geometric.nn:NoSuchConv", {}, "graph.kind 'torch_geometric.nn:NoSuchConv' cannot be found"),
        ("no.such.module:Conv", {}, "cannot be found .*check its spelling"),
        ("torch.nn:Linear", {}, "is no convolution of torch_geometric"),
        (GATV2, {"bet": 1}, "its arguments do not fit .*change graph.arguments"),
        (GATV2, {"heads": 5}, "graph.heads: 5 does not divide 12, the width of what the graph is given"),
    ],
)
def test_mistakes_are_one_sentence(kind: str, arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(LgsfError, match=sentence):
        graph(kind, arguments=arguments)
