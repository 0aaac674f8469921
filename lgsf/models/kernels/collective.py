"""Exchanges between the processes of one training that gradients go through (torch.distributed); alone, nothing.

The objective of a training on W processes is the mean over them of each one's loss. In the backward pass every exchange
is exactly its transpose, so a process ends with W times its share of the gradient: the mean over processes is
the gradient of the objective, for whatever was computed once everywhere or in shares.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable

from lgsf.system.errors import LgsfError


@dataclass(frozen=True)
class World:
    """This process among the `size` that train together."""

    rank: int = 0
    size: int = 1

    def share(self, length: int) -> slice:
        """The contiguous part of `length` rows, a multiple of `size`, that is this process's."""
        step = length // self.size
        return slice(self.rank * step, (self.rank + 1) * step)


ALONE = World()
_spread = _joint = ALONE


class PeerLostError(LgsfError):
    """An exchange failed: another process of the training ended, or cannot be reached."""

    def __init__(self, error: BaseException) -> None:
        reason = " ".join(str(error).split())[:200]
        super().__init__(
            f"another process of this training ended or cannot be reached ({reason}); "
            "what that one said is the reason; run the same command again to go on."
        )


@contextmanager
def exchanging() -> Iterator[None]:
    """Whatever torch says of a failed exchange becomes PeerLostError."""
    try:
        yield
    except RuntimeError as error:
        raise PeerLostError(error) from error


@contextmanager
def spread(world: World) -> Iterator[None]:
    """Inside, each process holds other samples of the batch: batch norms count those of all."""
    global _spread
    _spread = world
    try:
        yield
    finally:
        _spread = ALONE


@contextmanager
def joint(world: World) -> Iterator[None]:
    """Inside, each process holds the whole batch and computes the same: rows of scores may be shared out."""
    global _joint
    _joint = world
    try:
        yield
    finally:
        _joint = ALONE


def spread_over() -> World:
    """Over which processes the samples of the batch are spread by now."""
    return _spread


def joint_with() -> World:
    """Which processes hold the same batch by now."""
    return _joint


def gather(x: Tensor, world: World) -> Tensor:
    """The rows of all processes in their order: (n, ...) on each, with equal shapes -> (size * n, ...) on all."""
    if world.size == 1:
        return x
    gathered: Tensor = _Gather.apply(x, world)  # type: ignore[no-untyped-call]
    return gathered


class _Gather(torch.autograd.Function):
    """All-gather; its transpose sums what all processes ask of a row and gives it to the row's owner."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, world: World) -> Tensor:
        ctx.world = world
        out = x.new_empty(world.size * x.shape[0], *x.shape[1:])
        with exchanging():
            dist.all_gather(list(out.chunk(world.size)), x.contiguous())
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        rank, size = ctx.world.rank, ctx.world.size
        whole = grad.clone(memory_format=torch.contiguous_format)
        with exchanging():
            if not grad.is_cuda:  # gloo cannot scatter sums in every version of torch
                dist.all_reduce(whole)
                return whole.chunk(size)[rank], None
            own = torch.empty_like(whole.chunk(size)[rank])
            dist.reduce_scatter(own, list(whole.chunk(size)))
        return own, None
