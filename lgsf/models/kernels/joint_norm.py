"""Batch norms whose batch is spread over the processes of a training: moments of all samples, on a CPU and a GPU.

torch.nn.SyncBatchNorm is for CUDA alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lgsf.models.kernels.collective import gather, spread_over


def joint_moments(count: Tensor, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Count, mean and biased variance over all processes from those of each (Chan et al. 1979), all of one shape.

    Alone they stay as they are. A count may be zero; the moments that come with it do not matter, if finite.
    """
    world = spread_over()
    if world.size == 1:
        return count, mean, variance
    parts = torch.stack([count.to(mean.dtype), mean, variance]).unsqueeze(0)
    counts, means, variances = gather(parts, world).unbind(1)
    total = counts.sum(0)
    size = total.clamp(min=1)
    joint = (counts * means).sum(0) / size
    return total, joint, (counts * (variances + (means - joint).square())).sum(0) / size


class _Joint(_BatchNorm):
    """What `join_norms` makes of a batch norm of torch: the same, unless it trains on samples of several processes."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or spread_over().size == 1:
            return super().forward(x)
        exact = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
        dims = [axis for axis in range(x.ndim) if axis != 1]
        size = x.numel() // x.shape[1]
        mean = exact.sum(dims) / max(size, 1)
        shape = [1, -1, *[1] * (x.ndim - 2)]
        variance = (exact - mean.view(shape)).square().sum(dims) / max(size, 1)
        count, mean, variance = joint_moments(torch.full_like(mean, size), mean, variance)
        self._track(count, mean, variance)
        out = (exact - mean.view(shape)) * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            out = out * self.weight.view(shape) + self.bias.view(shape)
        return out.to(x.dtype)

    @torch.no_grad()
    def _track(self, count: Tensor, mean: Tensor, variance: Tensor) -> None:
        """As torch does, with the unbiased variance."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        factor = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, factor)
        self.running_var.lerp_(variance * count / (count - 1).clamp(min=1), factor)


def join_norms(module: nn.Module) -> None:
    """Make all batch norms of torch in a model count the samples of all processes; names and weights stay.

    MaskedBatchNorm does so by itself.
    """
    for norm in module.modules():
        if isinstance(norm, _BatchNorm) and not isinstance(norm, _Joint | nn.SyncBatchNorm):
            norm.__class__ = type(f"Joint{type(norm).__name__}", (_Joint, type(norm)), {})
