"""A GPU that is full ends a training with what was asked for, what was there, and the batch size that would fit."""

from __future__ import annotations

import re

from torch import nn

from lgsf.config.run_settings import RunSettings
from lgsf.system.errors import LgsfError

_UNITS = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_SIZE = r"([\d.]+) (bytes|KiB|MiB|GiB)"
_ASKED, _CAPACITY = re.compile(f"Tried to allocate {_SIZE}"), re.compile(f"total capacity of {_SIZE}")
_TAKEN = re.compile(f"{_SIZE} is allocated by PyTorch")
_STATES = 4  # numbers that training keeps of each weight: itself, its gradient and the optimizer's two moments
_SPARE = 0.9  # share of the GPU that a batch may fill: fragments and cuDNN take the rest
_STEP = 8


def full(error: Exception, settings: RunSettings, method: nn.Module) -> LgsfError:
    """The sentence for torch.OutOfMemoryError in a training step of `method`; torch's own words hold the figures.

    What would fit is estimated: weights and their moments stay, everything else grows with the batch. At the time of
    the error a step had not reached its peak, so no more than half of the batch is ever offered.
    """
    text, size = str(error), settings.training.batch_size
    asked, capacity, taken = (_bytes(pattern, text) for pattern in (_ASKED, _CAPACITY, _TAKEN))
    said = f"the GPU's memory ({_gib(capacity)}) does not suffice" if capacity else "the GPU's memory does not suffice"
    said += f" for training.batch_size {size}"
    said += f": {_gib(asked)} more were asked for" if asked else ""
    said += f" beside {_gib(taken)}" if asked and taken else ""
    fixed = _STATES * sum(p.numel() * p.element_size() for p in method.parameters())
    fits = max(2, size // 2)
    if asked and capacity and taken and taken + asked > fixed:
        fits = min(fits, int(size * (_SPARE * capacity - fixed) / (taken + asked - fixed)) // _STEP * _STEP)
    if fits < 2:
        advice = (
            f"weights and their moments alone take {_gib(fixed)}: lower the widths of the model, or take a larger GPU"
        )
    else:
        advice = f"about {fits} should fit: lower training.batch_size to that"
    if settings.training.precision == "float32":
        advice += ", or set training.precision: bfloat16"
    return LgsfError(f"{said}; {advice}, and run the same command again.")


def _bytes(pattern: re.Pattern[str], text: str) -> float | None:
    found = pattern.search(text)
    return float(found[1]) * _UNITS[found[2]] if found else None


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"
