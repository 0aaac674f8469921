"""A gated recurrent unit over ragged sequences (Cho et al., EMNLP 2014), in one or both directions.

The same function as `torch.nn.GRU` on packed sequences, with the same parameters under the same names. On an
accelerator it is `torch.nn.GRU`: all steps are one call of cuDNN. For CPUs it is written out because a training step of
the library's CPU version takes about twice as long at the sizes of this field (benchmarks/blocks.py): here both
directions share every kernel, inputs that occur many times (words, positions) are projected once, and the gradient is
one explicit pass that forms the gradient of the recurrent weights in a single product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from lgsf.models.kernels import forms
from lgsf.models.kernels.packing import Packing, by_step, pack, steps, unpack

_PARTS = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")


class RaggedGRU(nn.GRU):
    """One recurrent layer; the states of the two directions are averaged, as the field does.

    Its parameters are those of `torch.nn.GRU(input_dim, dim, bidirectional=...)`. It works in float32 in every precision:
    a state is a sum over all steps before it.
    """

    def __init__(self, *, input_dim: int, dim: int, bidirectional: bool) -> None:
        super().__init__(input_dim, dim, bidirectional=bidirectional)
        self.directions = ("", "_reverse") if bidirectional else ("",)

    def forward(self, inputs: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        """Run over vectors.

        inputs (n, length, input_dim) float32, mask (n, length) bool with the valid steps first and at least
        one per row -> states (n, length, dim) float32, zero on padding.
        """
        if not forms.blocked(inputs):
            packing = by_step(mask)
            return self._by_library(pack(inputs, packing), packing)
        index = torch.arange(mask.numel(), device=mask.device).view_as(mask)
        return self.look_up(inputs.flatten(0, 1), index, mask)

    def look_up(self, table: Tensor, index: Tensor, mask: Tensor) -> Tensor:
        """Run over sequences whose steps are rows of a table; each row is projected once on a CPU.

        table (n_rows, input_dim) float32, index (n, length) int64, mask as for `forward`
        -> states (n, length, dim) float32, zero on padding.
        """
        if not forms.blocked(table):
            packing = by_step(mask)
            return self._by_library(F.embedding(index.flatten().index_select(0, packing.places), table), packing)
        weight_ih, weight_hh, bias_ih, bias_hh = (
            torch.stack([getattr(self, name + direction) for direction in self.directions]) for name in _PARTS
        )
        rows = table.expand(len(self.directions), -1, -1)
        with forms.float32_island(table):
            projected = torch.baddbmm(bias_ih.unsqueeze(1), rows.to(bias_ih.dtype), weight_ih.transpose(1, 2))
        schedule = _Schedule.of(mask.sum(1), width=index.shape[1], directions=len(self.directions))
        places = schedule.places.to(index.device)
        reads = index.flatten()[places]
        states: Tensor = _Recurrence.apply(  # type: ignore[no-untyped-call]
            projected, weight_hh, bias_hh, reads, places, schedule.counts, tuple(index.shape)
        )
        return states

    def _by_library(self, rows: Tensor, packing: Packing) -> Tensor:
        """Steps (n_rows, input_dim) in the order of `packing` -> (n, length, dim), zero on padding."""
        assert packing.counts is not None and isinstance(self.weight_ih_l0, Tensor)
        with forms.float32_island(rows):
            states = super().forward(PackedSequence(rows.to(self.weight_ih_l0.dtype), packing.counts))[0].data
            if self.bidirectional:
                states = states.view(len(states), 2, -1).mean(1)
            return unpack(states, packing)


@dataclass(frozen=True)
class _Schedule:
    """Sequences in falling order of length, step after step, without padding: one row per sequence and step.

    places  (directions, n_rows) int64, where each row stands in the padded (n, length) layout; the second
            direction reads every sequence from its own end
    counts  sequences that are still running at each step; they sum to n_rows
    """

    places: Tensor
    counts: list[int]

    @staticmethod
    def of(lengths: Tensor, *, width: int, directions: int) -> _Schedule:
        places, counts = steps(lengths, width)
        step = torch.arange(len(counts)).repeat_interleave(counts)
        length = lengths[places // width]
        ways = (places, places + length - 1 - 2 * step)
        return _Schedule(torch.stack(ways[:directions]), counts.tolist())


class _Recurrence(torch.autograd.Function):
    """h_t = (1 - z) c + z h_{t-1} with reset gate r, update gate z, candidate c (in torch's order r, z, c).

    projected (directions, table rows, 3 dim), weight (directions, 3 dim, dim), bias (directions, 3 dim),
    reads and places (directions, rows): the table row that each row of the schedule reads and where it
    stands in the padded layout of `shape` -> the mean over directions (*shape, dim), zero on padding.
    """

    @staticmethod
    @forms.float32_forward
    def forward(
        ctx: Any,
        projected: Tensor,
        weight: Tensor,
        bias: Tensor,
        reads: Tensor,
        places: Tensor,
        counts: list[int],
        shape: tuple[int, int],
    ) -> Tensor:
        directions, table_rows, triple = projected.shape
        dim, rows = triple // 3, places.shape[1]
        table = projected.flatten(0, 1)
        reads = reads + table_rows * torch.arange(directions, device=reads.device).unsqueeze(1)
        states = projected.new_empty(directions, rows, dim)
        gates = projected.new_empty(directions, rows, 4 * dim)  # r, z, c, and the candidate's share of h_{t-1}
        transposed, offset = weight.transpose(1, 2), bias.unsqueeze(1)
        previous = projected.new_zeros(directions, counts[0], dim)
        end = 0
        for count in counts:
            start, end = end, end + count
            previous = previous[:, :count]
            hidden = torch.baddbmm(offset, previous, transposed)
            given = torch.embedding(table, reads[:, start:end])
            rz, candidate, recurrent = torch.split(gates[:, start:end], [2 * dim, dim, dim], dim=2)
            torch.add(given[..., : 2 * dim], hidden[..., : 2 * dim], out=rz).sigmoid_()
            recurrent.copy_(hidden[..., 2 * dim :])
            torch.addcmul(given[..., 2 * dim :], rz[..., :dim], recurrent, out=candidate).tanh_()
            previous = torch.lerp(candidate, previous, rz[..., dim:], out=states[:, start:end])
        ctx.save_for_backward(weight, states, gates, reads, places)
        ctx.counts, ctx.table_rows = counts, table_rows
        out = states.new_zeros(shape[0] * shape[1], dim)
        for place, state in zip(places, states, strict=True):
            out.index_add_(0, place, state, alpha=1 / directions)
        return out.view(*shape, dim)

    @staticmethod
    @once_differentiable
    @forms.float32_backward
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        weight, states, gates, reads, places = ctx.saved_tensors
        directions, rows, dim = states.shape
        grad_states = torch.embedding(grad.flatten(0, 1) / directions, places)
        # One buffer c, r, z, r * c: the first three are the gradient of the inputs, the last three that of
        # the recurrent products, whose candidate is scaled by the reset gate.
        buffer = states.new_empty(directions, rows, 4 * dim)
        before = states.new_zeros(directions, rows, dim)  # h_{t-1} of every row
        end = rows
        for step in range(len(ctx.counts) - 1, -1, -1):
            count = ctx.counts[step]
            start = end - count
            r, z, candidate, recurrent = gates[:, start:end].split(dim, dim=2)
            d_c, d_r, d_z, d_rc = buffer[:, start:end].split(dim, dim=2)
            now, previous = grad_states[:, start:end], before[:, start:end]
            if step:
                previous.copy_(states[:, start - ctx.counts[step - 1] :][:, :count])
            kept = now * z
            _tanh_backward(now - kept, candidate, grad_input=d_c)
            _sigmoid_backward((previous - candidate).mul_(now), z, grad_input=d_z)
            _sigmoid_backward(d_c * recurrent, r, grad_input=d_r)
            torch.mul(d_c, r, out=d_rc)
            if step:
                earlier = start - ctx.counts[step - 1]
                hidden = buffer[:, start:end, dim:]
                grad_states[:, earlier : earlier + count] += torch.baddbmm(kept, hidden, weight)
            end = start
        hidden = buffer[..., dim:]
        inputs = torch.cat([buffer[..., dim : 3 * dim], buffer[..., :dim]], dim=2)
        grad_table = torch.ops.aten.embedding_dense_backward(inputs, reads, directions * ctx.table_rows, -1, False)
        grad_weight = torch.bmm(hidden.transpose(1, 2), before)
        return grad_table.view(directions, ctx.table_rows, -1), grad_weight, hidden.sum(1), *[None] * 4


_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input
