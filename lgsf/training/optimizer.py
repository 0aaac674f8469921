"""The optimizer of a run: one group of parameters for each factor on the learning rate."""

from __future__ import annotations

import logging
from typing import Any

import torch

from lgsf.config.run_settings import Training
from lgsf.models.base import Method

logger = logging.getLogger(__name__)


def build_optimizer(method: Method, options: Training) -> torch.optim.Optimizer:
    """AdamW or Adam over all parameters, in groups by `method.learning_rate_factors()`."""
    kind: type[torch.optim.Adam] = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[options.optimizer]
    groups = parameter_groups(method)
    return kind(groups, lr=options.learning_rate, weight_decay=options.weight_decay, fused=True)


def parameter_groups(method: Method) -> list[dict[str, Any]]:
    """Groups of parameters with their `factor`; the first ones are those without a factor of their own.

    Of several prefixes that fit a name the longest counts. Raises ValueError for a prefix that fits none.
    """
    factors = method.learning_rate_factors()
    groups: dict[float, list[torch.nn.Parameter]] = {1.0: []}
    used = set()
    for name, parameter in method.named_parameters():
        prefix = max((p for p in factors if name.startswith(p)), key=len, default=None)
        used.add(prefix)
        groups.setdefault(1.0 if prefix is None else factors[prefix], []).append(parameter)
    if unused := factors.keys() - used:
        raise ValueError(f"no parameter has a name that starts with {sorted(unused)[0]!r}")
    for prefix, factor in factors.items():
        logger.info("%s* learns at %g times the learning rate", prefix, factor)
    return [{"params": parameters, "factor": factor} for factor, parameters in groups.items() if parameters]


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """`rate` for every group, times the group's factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]
