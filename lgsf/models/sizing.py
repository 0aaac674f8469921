"""The size of a model before it is trained: built on torch's `meta` device, where weights have shapes and no memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from lgsf.config.run_settings import RunSettings
from lgsf.models.base import DataSpec, Method
from lgsf.models.build import check_settings, method_class, parameters_of
from lgsf.system.errors import LgsfError

logger = logging.getLogger(__name__)
MOST_WEIGHTS = 10**10
USUAL = DataSpec(region_dim=2048, vocabulary_size=10_000, has_boxes=True)


class _WithoutValues(TorchFunctionMode):
    """Leaves out what fills tensors: on `meta` there is nothing to fill, and torch would load its compiler for it."""

    FILLS = frozenset(
        [
            "uniform_",
            "normal_",
            "trunc_normal_",
            "xavier_uniform_",
            "xavier_normal_",
            "kaiming_uniform_",
            "kaiming_normal_",
            "orthogonal_",
            "zero_",
            "fill_",
            "copy_",
            "mul_",
            "add_",
            "clamp_",
            "erfinv_",
        ]
    )

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in self.FILLS:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


def sketched(build: Callable[[], Method]) -> Method:
    """The model that `build` makes, with shapes and without memory or values."""
    with torch.device("meta"), _WithoutValues():
        return build()


def configured(raw: Any, *, source: str) -> RunSettings:
    """`check_settings`, and a look at the size of the model: what its layers refuse is found before any training."""
    settings = check_settings(raw, source=source)
    weights = count_weights(settings, source=source)
    if weights is not None and weights > MOST_WEIGHTS:
        raise LgsfError(
            f"{source}: {settings.method!r} would have {weights:.1e} weights, and more than {MOST_WEIGHTS:.0e} are not "
            "trained by this code, which holds a model in one process; lower its widths."
        )
    return settings


def count_weights(settings: RunSettings, *, source: str) -> int | None:
    """Weights of the model on data of the usual size, built without memory for them; None where that cannot be done.

    Raises LgsfError for what the class refuses, such as heads that do not divide a width.
    """
    text = settings.parameters.get("text")
    if isinstance(text, Mapping) and text.get("kind") == "bert":
        return None  # its file gives the sizes
    options, kind = parameters_of(settings, source=source), method_class(settings.model, source=source)
    try:
        model = sketched(lambda: kind(options, USUAL))
    except LgsfError as error:
        raise LgsfError(f"{source}: {settings.method!r}: {error}") from None
    except Exception as error:  # a class from elsewhere may need real numbers when it is built
        logger.info("%s was not sized before its training (%s)", settings.model, error)
        return None
    return sum(weight.numel() for weight in model.parameters())
