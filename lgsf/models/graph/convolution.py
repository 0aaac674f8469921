"""Any graph convolution of torch_geometric.nn, by name, over the edges of an image: another layer by one config line.

The images of a batch become one sparse graph, as the library batches them: their valid regions are its nodes.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lgsf.system.errors import LgsfError


class SparseConvolution(nn.Module):
    """`module:Class` with dim inputs and dim outputs; `heads` and `dropout` where the class has such arguments.

    Raises LgsfError where there is no such class, where it is no convolution, or where arguments do not fit it.
    """

    def __init__(self, kind: str, *, dim: int, heads: int, dropout: float, arguments: Mapping[str, Any]) -> None:
        super().__init__()
        made = convolution(kind)
        known = inspect.signature(made).parameters
        given: dict[str, Any] = dict(arguments)
        width = dim
        if "heads" in known:
            heads = given.setdefault("heads", heads)
            if dim % heads:
                raise LgsfError(
                    f"graph.heads: {heads} does not divide {dim}, the width of what the graph is given; change one."
                )
            if given.get("concat", True):
                width = dim // heads
        if "dropout" in known:
            given.setdefault("dropout", dropout)
        try:
            self.convolution: nn.Module = made(dim, width, **given)
        except (TypeError, ValueError, AssertionError) as error:
            raise LgsfError(f"graph.kind {kind}: its arguments do not fit ({error}); change graph.arguments.") from None

    def forward(self, x: Tensor, mask: Tensor, edges: Tensor) -> Tensor:
        """(n, n_regions, dim) float32, (n, n_regions) bool, (n, n_regions, n_regions) bool -> as x, zero off the mask.

        edges[b, i, j] is True where region i of image b receives from region j.
        """
        place = mask.flatten().cumsum(0).view_as(mask) - 1  # of each valid region among the nodes
        image, target, source = (edges & mask.unsqueeze(1) & mask.unsqueeze(2)).nonzero(as_tuple=True)
        index = torch.stack([place[image, source], place[image, target]])
        mixed: Tensor = self.convolution(x[mask], index)
        return x.new_zeros(x.shape).masked_scatter(mask.unsqueeze(2), mixed.to(x.dtype))


def convolution(kind: str) -> type[nn.Module]:
    """The class that `module:Class` names; it must pass messages over an edge index (torch_geometric.nn.MessagePassing)."""
    from torch_geometric.nn import MessagePassing  # two seconds, for those alone who ask for it

    module, _, name = kind.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ModuleNotFoundError, AttributeError) as error:
        raise LgsfError(f"graph.kind {kind!r} cannot be found ({error}); check its spelling.") from None
    if not (isinstance(found, type) and issubclass(found, MessagePassing)):
        raise LgsfError(f"graph.kind {kind!r} is no convolution of torch_geometric (MessagePassing); name one that is.")
    return found
