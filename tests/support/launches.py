"""What a training step asks of a GPU, counted without one: kernel launches, bytes moved, uploads, waits.

The step runs on torch's `meta` device, whose tensors have shapes and no values. It takes the path of an accelerator
(lgsf.models.kernels.forms), and whatever would make the host wait for a value cannot work there, so a step that ends
has no wait in it. Every operation that reaches the dispatcher and is neither a view nor an allocation counts as one
launch. That is what the host issues: a call of cuDNN or a fused optimizer counts once, and may be several kernels.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.modules import rnn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from lgsf.models.kernels import forms

ROOT = Path(__file__).resolve().parents[2]
_OURS = (str(ROOT / "lgsf"), str(ROOT / "baselines"))
META = torch.device("meta")
ALLOCATIONS = frozenset(["empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "resize_"])
GATHERS = frozenset(["embedding", "index", "index_select", "gather"])  # read what they write, not all of their source
FUSED = {  # kernels of what is compiled on CUDA
    "plain_scores": 1, "plain_gradient": 4, "_add_heads": 1, "_add_heads_gradient": 2, "_add_branch": 1,
    "_add_branch_gradient": 2,
}  # fmt: skip
VIEWS = frozenset(["_unsafe_view", "_reshape_alias", "lift_fresh"])  # beside those whose schema says so


class Launches(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts while it is entered.

    operations, lines  launches by operation, and by the line of the project that caused them
    moved              bytes that operations read and write, by operation
    uploads            tensors that came from the host, by line
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: Counter[str] = Counter()
        self.lines: Counter[str] = Counter()
        self.moved: Counter[str] = Counter()
        self.uploads: Counter[str] = Counter()
        self._fused = False

    @property
    def launches(self) -> int:
        return self.operations.total()

    @property
    def bytes(self) -> int:
        return self.moved.total()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        given = [x for x in tree_iter((args, kwargs)) if isinstance(x, Tensor)]
        made = [x for x in tree_iter(out) if isinstance(x, Tensor)]
        if not self._fused and any(x.device == META for x in (*given, *made)):
            self._look(func, args, kwargs, given, made)
        return out

    def _look(self, func: Any, args: Any, kwargs: Any, given: list[Tensor], made: list[Tensor]) -> None:
        name = func._schema.name.partition("::")[2]
        if any(x.device.type == "cpu" and x.ndim for x in given):
            self.uploads[_line()] += 1
        elif name in ALLOCATIONS or _is_view(func, name):
            return
        self.count(name, _moved(func, name, args, kwargs, given, made))

    def count(self, name: str, moved: int) -> None:
        """One launch of `name` that moves so many bytes."""
        self.operations[name] += 1
        self.lines[_line()] += 1
        self.moved[name] += moved

    @contextmanager
    def fused(self, name: str, tensors: list[Tensor]) -> Iterator[None]:
        """What happens inside is one launch that reads or writes each of `tensors` once."""
        self._fused, before = True, self._fused
        try:
            yield
        finally:
            self._fused = before
        self.count(name, sum(map(_size, tensors)))


def _is_view(func: Any, name: str) -> bool:
    returned = [r.alias_info for r in func._schema.returns if r.alias_info is not None]
    return name in VIEWS or any(not alias.is_write for alias in returned)


def _moved(func: Any, name: str, args: Any, kwargs: Any, given: list[Tensor], made: list[Tensor]) -> int:
    """Bytes that a kernel reads and writes at least once."""
    if name in GATHERS:
        return 2 * sum(map(_size, made))
    if not func._schema.is_mutable:
        return sum(map(_size, (*given, *made)))
    written = [
        x
        for place, argument in enumerate(func._schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
        for x in tree_iter(args[place] if place < len(args) else kwargs.get(argument.name))
        if isinstance(x, Tensor)
    ]
    only_written = name in ("copy_", "fill_", "zero_") or "out" in func._overloadname or "grad_input" in kwargs
    return sum(map(_size, given)) + (0 if only_written else sum(map(_size, written)))


def _size(x: Tensor) -> int:
    """Bytes of memory behind `x`; what is expanded counts once."""
    entries = 1
    for size, stride in zip(x.shape, x.stride(), strict=True):
        entries *= size if stride or size == 0 else 1
    return entries * x.element_size()


def _line() -> str:
    """The innermost line of the project on the stack."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(_OURS):
            return f"{path.removeprefix(str(ROOT))[1:]}:{frame.f_lineno}"
        frame = frame.f_back
    return "gradient of torch's own operations"


def _gru(counter: Launches, rows: Tensor, counts: Tensor, state: Tensor, weights: list[Tensor], *_: Any) -> Any:
    """Packed steps: one call of cuDNN forward and one backward."""
    assert counts.device.type == "cpu"  # cuDNN reads them before it starts
    return _Recurrent.apply(counter, rows, state, *weights), state  # type: ignore[no-untyped-call]


def _dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    return torch.native_dropout(input, p, True)[0] if training and p > 0 else input


def _attention(counter: Launches, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None,
               dropout_p: float = 0.0, is_causal: bool = False, **options: Any) -> Tensor:  # fmt: skip
    attended: Tensor = _Attention.apply(counter, query, key, value, attn_mask)  # type: ignore[no-untyped-call]
    return attended


class _Attention(torch.autograd.Function):
    """Memory-efficient attention, which torch takes on CUDA for float32 with a mask and dropout.

    Forward pads the mask and attends; backward multiplies and sums the output with its gradient, and takes its kernel
    and the sum over heads of the mask's gradient. The matrix of all weights is never written.
    """

    @staticmethod
    def forward(ctx: Any, counter: Launches, *given: Tensor | None) -> Tensor:
        query, _, value, mask = given
        assert query is not None and value is not None
        with counter.fused("efficient_attention", [x for x in given if x is not None]):
            out = query.new_empty(*query.shape[:-1], value.shape[-1])
        if mask is not None:
            counter.count("efficient_attention", 2 * _size(mask))
        ctx.save_for_backward(*given, out)
        ctx.counter = counter
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        *given, out = ctx.saved_tensors
        with ctx.counter.fused("efficient_attention_backward", [*(x for x in given if x is not None), grad, out]):
            grads = [None if x is None else torch.empty_like(x) for x in given]
        for _ in range(3):
            ctx.counter.count("efficient_attention_backward", _size(grad))
        return None, *grads


class _Recurrent(torch.autograd.Function):
    """The shapes of a recurrent layer; between its calls cuDNN keeps four numbers of every state."""

    @staticmethod
    def forward(ctx: Any, counter: Launches, rows: Tensor, state: Tensor, *weights: Tensor) -> Tensor:
        ways, _, dim = state.shape
        with counter.fused("_cudnn_rnn", []):
            out, kept = rows.new_empty(len(rows), ways * dim), rows.new_empty(len(rows), ways * 4 * dim)
        counter.moved["_cudnn_rnn"] += sum(map(_size, (rows, *weights, out, kept)))
        ctx.save_for_backward(rows, out, kept, *weights)
        ctx.counter = counter
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        rows, out, kept, *weights = ctx.saved_tensors
        with ctx.counter.fused("_cudnn_rnn_backward", [grad, rows, out, kept, *weights, rows, *weights]):
            return None, torch.empty_like(rows), None, *map(torch.empty_like, weights)


def _run_fused(counter: Launches, function: Callable[..., Any], *tensors: Tensor) -> Any:
    """A function that is compiled on CUDA: as many kernels as FUSED says, which read and write what goes in and out."""
    with counter.fused(function.__name__, list(tensors)):
        out = function(*tensors)
    counter.moved[function.__name__] += sum(_size(x) for x in tree_iter(out))
    for _ in range(FUSED[function.__name__] - 1):
        counter.count(function.__name__, 0)
    return out


@contextmanager
def counted() -> Iterator[Launches]:
    """A counter that is at work, with the library calls and fused operations that CUDA has."""
    counter = Launches()
    with ExitStack() as stack:
        for name in _SUPPORTED:
            stack.enter_context(mock.patch(name, return_value=["meta", "cuda", "cpu"]))
        stack.enter_context(mock.patch.object(forms, "run_fused", partial(_run_fused, counter)))
        stack.enter_context(mock.patch.object(rnn._VF, "gru", partial(_gru, counter), create=True))  # type: ignore[attr-defined]
        stack.enter_context(mock.patch.object(F, "dropout", _dropout))
        stack.enter_context(mock.patch.object(F, "scaled_dot_product_attention", partial(_attention, counter)))
        stack.enter_context(counter)
        yield counter


_SUPPORTED = (
    "torch.utils._foreach_utils._get_foreach_kernels_supported_devices",
    "torch.optim.optimizer._get_fused_kernels_supported_devices",
)
