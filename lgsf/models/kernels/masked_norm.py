"""Batch normalisation (Ioffe & Szegedy, ICML 2015) over the valid entries of padded samples."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lgsf.models.kernels import forms
from lgsf.models.kernels.collective import spread_over
from lgsf.models.kernels.joint_norm import joint_moments

EPS, MOMENTUM = 1e-5, 0.1  # torch's values


class MaskedBatchNorm(nn.Module):
    """`torch.nn.BatchNorm1d` on (n, channels, length) that leaves out what is padded, under the same names."""

    weight: nn.Parameter
    bias: nn.Parameter
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.zeros((), dtype=torch.long))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(n, c, length) float32 with the first c <= channels channels, (n, c) bool: which channels a sample has."""
        c = x.shape[1]
        if not self.training:
            return self.normalize(x, self.running_mean[:c, None], self.running_var[:c, None])
        count, mean, variance = moments(x, mask.unsqueeze(2).expand_as(x), dims=(0, 2))
        if spread_over().size > 1:  # samples of other processes may have more channels
            missing = (0, 0, 0, len(self.weight) - c)
            count, mean, variance = joint_moments(*(F.pad(part, missing) for part in (count, mean, variance)))
        self.track(count.view(1, -1), mean.view(1, -1), variance.view(1, -1))
        return self.normalize(x, mean[0, :c], variance[0, :c])

    def normalize(self, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """`x` (n, c, length) with the given moments, which broadcast against it, and each channel's scale and shift."""
        c = x.shape[1] if len(self.weight) > 1 else 1
        return (x - mean) * (variance + EPS).rsqrt() * self.weight[:c, None] + self.bias[:c, None]

    @torch.no_grad()
    def track(self, count: Tensor, mean: Tensor, variance: Tensor) -> None:
        """Take up the moments (k, c) of k successive batches; a channel with fewer than two values stays as it is."""
        c, k = mean.shape[1], len(count)
        variance = variance * count / (count - 1).clamp(min=1)
        both = ((self.running_mean[:c], mean), (self.running_var[:c], variance))
        self.num_batches_tracked += k
        if forms.blocked(mean):
            for batch in range(k):
                for running, seen in both:
                    running.lerp_(torch.where(count[batch] > 1, seen[batch], running), MOMENTUM)
            return
        # The same in closed form: batch i has the weight MOMENTUM (1 - MOMENTUM)^(batches taken after it).
        taken = count > 1
        still = taken.flip(0).cumsum(0).flip(0)  # taken from this batch on
        weight = MOMENTUM * (1 - MOMENTUM) ** (still - 1) * taken
        kept = (1 - MOMENTUM) ** still[0]
        for running, seen in both:
            running.mul_(kept).add_((weight * seen).sum(0))


def moments(x: Tensor, mask: Tensor, *, dims: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Count, mean and biased variance of the entries of `x` where `mask` is True; the reduced axes stay, with size 1."""
    count = mask.sum(dims, keepdim=True)
    size = count.clamp(min=1)
    mean = (x * mask).sum(dims, keepdim=True) / size
    variance = ((x - mean) * mask).square().sum(dims, keepdim=True) / size
    return count, mean, variance
