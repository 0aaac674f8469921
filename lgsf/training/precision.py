"""What a step computes in: float32, TF32 products, or bfloat16; norms, scores and losses are float32 in all three.

`tf32` keeps every number in float32 and multiplies matrices with 10 bits of mantissa (NVIDIA GPUs from 2020 on).
`bfloat16` runs the encoders under autocast: products in bfloat16, and in TF32 what autocast leaves in float32, such as
recurrent layers. Scores and losses stay exact: hardest negatives differ by less than either rounds to. Their gradients,
like all of the backward pass, may use TF32. Evaluation is float32 whatever a model was trained in.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from lgsf.config.run_settings import Precision
from lgsf.system.errors import LgsfError


def check_precision(precision: Precision, device: torch.device, *, source: Path) -> None:
    """Raises LgsfError for what the device cannot do; a CPU computes bfloat16, if slowly, and has no TF32."""
    if precision == "tf32" and device.type != "cuda":
        raise LgsfError(
            f"{source}: training.precision tf32 is the arithmetic of a GPU and the device is {device.type}: "
            "set float32, or device: cuda."
        )


@contextmanager
def encoding(precision: Precision, device: torch.device) -> Iterator[None]:
    """For the encoders of a step."""
    with products(precision, device), _autocast(precision, device):
        yield


@contextmanager
def products(precision: Precision, device: torch.device) -> Iterator[None]:
    """Float32 products of matrices take TF32 inside, unless the precision is float32; a CPU's never do."""
    coarse = precision != "float32" and device.type == "cuda"
    _allow_tf32(coarse)
    try:
        yield
    finally:
        if coarse:
            _allow_tf32(False)


@contextmanager
def _autocast(precision: Precision, device: torch.device) -> Iterator[None]:
    if precision != "bfloat16":
        yield
        return
    with torch.autocast(device.type, torch.bfloat16):
        yield


def _allow_tf32(allowed: bool) -> None:
    """cuDNN's recurrent layers take TF32 unless they are told not to; matrix products the other way round."""
    if torch.backends.cudnn.allow_tf32 != allowed:
        torch.backends.cudnn.allow_tf32 = allowed
    if torch.backends.cuda.matmul.allow_tf32 != allowed:
        torch.backends.cuda.matmul.allow_tf32 = allowed
