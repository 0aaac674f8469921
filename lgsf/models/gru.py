"""A gated recurrent unit over ragged sequences (Cho et al., EMNLP 2014), in one or both directions.

The same function as `torch.nn.GRU` on packed sequences, with the same parameters under the same names. It
is written out because the library's CPU version takes two to four times as long for a training step at
the sizes of this field (benchmarks/gru.py): here both directions share every kernel, finished sequences
leave the batch, inputs that occur many times (words, positions) are projected once, and the gradient is
one explicit pass with a single product for the recurrent weights.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


class RaggedGRU(nn.Module):
    """One recurrent layer; the states of the two directions are averaged, as the field does.

    Parameters carry the names and shapes of `torch.nn.GRU(input_dim, dim, bidirectional=...)`.
    """

    def __init__(self, *, input_dim: int, dim: int, bidirectional: bool) -> None:
        super().__init__()
        self.directions = ("", "_reverse") if bidirectional else ("",)
        bound = 1.0 / math.sqrt(dim)
        for direction in self.directions:
            for name, shape in (
                ("weight_ih_l0", (3 * dim, input_dim)),
                ("weight_hh_l0", (3 * dim, dim)),
                ("bias_ih_l0", (3 * dim,)),
                ("bias_hh_l0", (3 * dim,)),
            ):
                weight = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
                self.register_parameter(name + direction, weight)

    def _all(self, name: str) -> list[Tensor]:
        return [self.get_parameter(name + direction) for direction in self.directions]

    def forward(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """(n, length, input_dim) float32, (n, length) bool, valid steps first -> (n, length, dim), zero on pads."""
        index = torch.arange(mask.numel(), device=mask.device).view_as(mask)
        return self.look_up(inputs.flatten(0, 1), index, mask.sum(1).tolist())

    def look_up(self, table: Tensor, index: Tensor, lengths: list[int]) -> Tensor:
        """Run over sequences whose steps are rows of a table, each of which is projected once.

        table (n_rows, input_dim) float32, index (n, length) int64, `lengths` of the n sequences (at least 1
        each) -> states (n, length, dim), zero on padding.
        """
        device = index.device
        n, width = index.shape
        order = sorted(range(n), key=lambda row: -lengths[row])
        longest = lengths[order[0]]
        counts = [n] * longest  # sequences that are still running at each step
        for t, at_least in enumerate(range(1, longest + 1)):
            while counts[t] and lengths[order[counts[t] - 1]] < at_least:
                counts[t] -= 1
            if t + 1 < longest:
                counts[t + 1] = counts[t]
        rows = torch.tensor(order, device=device)
        steps = index[rows, :longest].T  # (longest, n)
        sorted_lengths = torch.tensor([lengths[row] for row in order], device=device)
        time = torch.arange(longest, device=device).unsqueeze(1)
        mirrored = torch.where(time < sorted_lengths, sorted_lengths - 1 - time, time)  # (longest, n)

        projected = F.linear(table, torch.cat(self._all("weight_ih_l0")), torch.cat(self._all("bias_ih_l0")))
        columns = projected.chunk(len(self.directions), dim=1)
        reads = (steps, steps.gather(0, mirrored))
        gates = torch.stack([F.embedding(read, column) for column, read in zip(columns, reads, strict=False)])
        states: Tensor = _Recurrence.apply(  # type: ignore[no-untyped-call] # (directions, longest, n, dim)
            gates, torch.stack(self._all("weight_hh_l0")), torch.stack(self._all("bias_hh_l0")), counts
        )
        back = torch.empty_like(rows)
        back[rows] = torch.arange(n, device=device)
        if len(self.directions) == 2:
            backward = states[1].gather(0, mirrored.unsqueeze(2).expand_as(states[1]))
            out = (states[0] + backward) / 2
        else:
            out = states[0]
        return F.pad(out.transpose(0, 1)[back], (0, 0, 0, width - longest))


class _Recurrence(torch.autograd.Function):
    """h_t = (1 - z) n + z h_{t-1} with reset gate r, update gate z, candidate n; rows by falling length.

    gates (directions, time, rows, 3 dim): projected inputs in torch's order r, z, n; weight (directions,
    3 dim, dim); bias (directions, 3 dim); counts: rows still running at each time -> states (directions,
    time, rows, dim), zero where a row has ended.
    """

    @staticmethod
    @torch.amp.custom_fwd(device_type="cuda", cast_inputs=torch.float32)  # type: ignore[untyped-decorator]
    def forward(ctx: Any, gates: Tensor, weight: Tensor, bias: Tensor, counts: list[int]) -> Tensor:
        directions, time, rows, triple = gates.shape
        dim = triple // 3
        states = gates.new_zeros(directions, time, rows, dim)
        recurrent = gates.new_empty(directions, time, rows, dim)  # the candidate's share of h_{t-1}
        opened = gates.new_empty(directions, time, rows, triple)  # r, z, n after their non-linearities
        transposed, offset = weight.transpose(1, 2), bias.unsqueeze(1)
        previous = gates.new_zeros(directions, rows, dim)
        for t, n in enumerate(counts):
            previous = previous[:, :n]
            hidden = torch.baddbmm(offset, previous, transposed)
            now, given = opened[:, t, :n], gates[:, t, :n]
            rz, candidate = now[..., : 2 * dim], now[..., 2 * dim :]
            torch.add(given[..., : 2 * dim], hidden[..., : 2 * dim], out=rz).sigmoid_()
            recurrent[:, t, :n] = hidden[..., 2 * dim :]
            torch.addcmul(given[..., 2 * dim :], rz[..., :dim], hidden[..., 2 * dim :], out=candidate).tanh_()
            previous = torch.lerp(candidate, previous, rz[..., dim:], out=states[:, t, :n])
        ctx.save_for_backward(weight, states, opened, recurrent)
        ctx.counts = counts
        return states

    @staticmethod
    @once_differentiable
    @torch.amp.custom_bwd(device_type="cuda")  # type: ignore[untyped-decorator]
    def backward(  # type: ignore[override]
        ctx: Any, grad_states: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, None]:
        weight, states, opened, recurrent = ctx.saved_tensors
        directions, time, rows, dim = states.shape
        grad_gates = states.new_zeros(directions, time, rows, 3 * dim)
        grad_hidden = states.new_zeros(directions, time, rows, 3 * dim)
        zero = states.new_zeros(directions, rows, dim)
        carried = states.new_zeros(directions, rows, dim)
        for t in range(time - 1, -1, -1):
            n = ctx.counts[t]
            r, z, candidate = opened[:, t, :n].split(dim, dim=2)
            previous = states[:, t - 1, :n] if t else zero[:, :n]
            grad = grad_states[:, t, :n] + carried[:, :n]
            given, hidden = grad_gates[:, t, :n], grad_hidden[:, t, :n]
            d_r, d_z, d_n = given.split(dim, dim=2)
            d_n.copy_(torch.ops.aten.tanh_backward(grad - grad * z, candidate))
            d_z.copy_(torch.ops.aten.sigmoid_backward(grad * (previous - candidate), z))
            d_r.copy_(torch.ops.aten.sigmoid_backward(d_n * recurrent[:, t, :n], r))
            hidden[..., : 2 * dim] = given[..., : 2 * dim]
            torch.mul(d_n, r, out=hidden[..., 2 * dim :])
            carried[:, :n] = torch.baddbmm(grad * z, hidden, weight)
        before = torch.cat([zero.unsqueeze(1), states[:, :-1]], dim=1).flatten(1, 2)
        flat = grad_hidden.flatten(1, 2)
        return grad_gates, torch.bmm(flat.transpose(1, 2), before), flat.sum(1), None
