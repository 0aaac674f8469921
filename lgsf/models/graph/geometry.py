"""Where two boxes lie to each other, as a term of their edge's score (Hu et al., CVPR 2018, equations 4 and 5)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_HIDDEN = 64  # width of the sinusoidal embedding there, of the perceptron here
_SMALLEST = 1e-3  # side of a box in shares of the picture; padding and broken boxes have none


class BoxGeometry(nn.Module):
    """A number for every head and edge, from the four distances of two boxes: place and size, relative to each other.

    A small perceptron takes the place of the published sinusoidal embedding and its linear layer. It starts with no
    say: its last layer is zero.
    """

    def __init__(self, *, heads: int) -> None:
        super().__init__()
        last = nn.Linear(_HIDDEN, heads)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.net = nn.Sequential(nn.Linear(4, _HIDDEN), nn.ReLU(), last)

    def forward(self, boxes: Tensor) -> Tensor:
        """(n, n_regions, 4) as x0 y0 x1 y1 in shares of the picture -> (n, heads, i, j), i receives from j."""
        result: Tensor = self.net(relative(boxes)).permute(0, 3, 1, 2)
        return result


def relative(boxes: Tensor) -> Tensor:
    """log|dx / w|, log|dy / h|, log(w_j / w_i), log(h_j / h_i): (n, n_regions, 4) -> (n, i, j, 4), signs kept.

    The published logarithm of |dx| / w forgets on which side a box lies; sign(d) log(1 + |d|) does not.
    """
    size = (boxes[..., 2:] - boxes[..., :2]).clamp(min=_SMALLEST)
    centre = (boxes[..., 2:] + boxes[..., :2]) / 2
    distance = (centre.unsqueeze(1) - centre.unsqueeze(2)) / size.unsqueeze(2)
    shift = distance.sign() * distance.abs().log1p()
    return torch.cat([shift, (size.unsqueeze(1) / size.unsqueeze(2)).log()], dim=3)
