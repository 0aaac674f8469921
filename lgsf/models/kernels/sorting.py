"""Sort the first axis of a tensor: a sorting network of whole-row operations on the CPU, torch's sort elsewhere.

Pooling sorts tens of values in each of tens of thousands of columns. There a network (merge exchange, Batcher
1968; Knuth, TAOCP 3, algorithm 5.2.2M) of vectorised minima and maxima is faster than sorting column by column
(benchmarks/blocks.py).
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from lgsf.models.kernels import forms


def sort_descending(x: Tensor) -> tuple[Tensor, Tensor]:
    """`x.sort(dim=0, descending=True)` for finite values: sorted, and the int64 row each came from.

    The order of equal values is not defined.
    """
    if forms.blocked(x) and x.dtype == torch.float32:
        return _sort_by_network(x)
    values, indices = x.sort(dim=0, descending=True)
    return values, indices


def _sort_by_network(x: Tensor) -> tuple[Tensor, Tensor]:
    # A float32 leaves the last 29 bits of a double's mantissa free: they carry the row number through the
    # comparisons, change the order of nothing but equal values, and vanish when the double is rounded back.
    length = x.shape[0]
    keys = torch.empty(x.shape, dtype=torch.float64).copy_(x)
    keys.view(torch.int64).bitwise_or_(torch.arange(length).view(-1, *[1] * (x.ndim - 1)))
    rows = list(keys.unbind(0))
    spare = torch.empty_like(rows[0])
    for upper, lower in comparators(length):
        a, b = rows[upper], rows[lower]
        rows[upper], spare = torch.maximum(a, b, out=spare), a
        torch.minimum(a, b, out=b)
    merged = torch.stack(rows)
    return merged.float(), merged.view(torch.int64).bitwise_and_((1 << length.bit_length()) - 1)


@cache
def comparators(length: int) -> tuple[tuple[int, int], ...]:
    """Pairs of places (i < j) that, put in order one after the other, sort any `length` values."""
    pairs = []
    half = 1 << max(length - 1, 0).bit_length() >> 1
    p = half
    while p:
        q, r, distance = half, 0, p
        while distance:
            pairs += [(i, i + distance) for i in range(length - distance) if i & p == r]
            distance, q, r = q - p, q >> 1, p
        p >>= 1
    return tuple(pairs)
