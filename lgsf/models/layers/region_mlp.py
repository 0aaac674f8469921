"""Region features to the embedding space by a linear layer plus a two-layer perceptron (VSE-infinity, HREM)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from lgsf.models.kernels import forms
from lgsf.models.kernels.packing import by_sample, pack, unpack
from lgsf.models.layers.encoders import xavier_linear


class RegionMLP(nn.Module):
    """fc(x) + second(relu(batch_norm(first(x)))) of every region, hidden width dim // 2.

    Only valid regions enter, so that padding and dropped regions leave no trace in the batch norm's
    statistics (in the published code they do). `start` of the perceptron: torch's default as in VSE-infinity,
    or Xavier as in HREM.
    """

    def __init__(self, *, region_dim: int, dim: int, start: Literal["default", "xavier"] = "default") -> None:
        super().__init__()
        linear = nn.Linear if start == "default" else xavier_linear
        self.fc = xavier_linear(region_dim, dim)
        self.first = linear(region_dim, dim // 2)
        self.norm = nn.BatchNorm1d(dim // 2)
        self.second = linear(dim // 2, dim)

    def forward(self, regions: Tensor, mask: Tensor) -> Tensor:
        """(n, n_regions, region_dim) float32, (n, n_regions) bool -> (n, n_regions, dim), zero off the mask."""
        if not forms.blocked(regions):
            packing = by_sample(mask)
            return unpack(self._perceptron(pack(regions, packing)), packing)
        out = self._perceptron(regions[mask])
        result: Tensor = out.new_zeros(*mask.shape, out.shape[1]).masked_scatter(mask.unsqueeze(2), out)
        return result

    def _perceptron(self, valid: Tensor) -> Tensor:
        out: Tensor = self.fc(valid) + self.second(torch.relu(self.norm(self.first(valid))))
        return out


PUBLISHED_MLP = {  # the authors' names, after the encoder's own prefix; the second batch norm is never used
    "layers.0.": "first.",
    "layers.1.": "second.",
    "bns.0.": "norm.",
}
