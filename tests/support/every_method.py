"""All methods of this repository, in all their forms, small: what a test of a promise runs over."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass, field
from typing import Any

import torch

import baselines
from lgsf.models.base import Method
from tests.models.test_lgsf import ARMS
from tests.support.properties import SPEC


@dataclass(frozen=True)
class Form:
    """One form of a method.

    order_matters  its scores depend on the order of the regions
    unit           what the authors normalise to length one, and we with them: "vector" or "fragments"
    extra_loss     parameters that switch off what its loss holds beside pairs
    at_start       parameters of a fresh model, where those for the other tests are of one that has learned
    """

    model: str
    parameters: dict[str, Any] = field(default_factory=dict)
    order_matters: bool = False
    unit: str = "vector"
    extra_loss: dict[str, Any] = field(default_factory=dict)
    at_start: dict[str, Any] = field(default_factory=dict)

    @property
    def method_class(self) -> type[Method]:
        module, _, name = self.model.partition(":")
        found: type[Method] = getattr(importlib.import_module(module), name)
        return found

    def build(self, **changes: Any) -> Method:
        """A fresh model with widths of a dozen and without dropout, always the same weights."""
        torch.manual_seed(0)
        options = self.method_class.Parameters.model_validate(SMALL | self.parameters | changes)
        return self.method_class(options, SPEC)

    def pairs_alone(self, **changes: Any) -> Method:
        """The same with a loss over pairs and nothing else."""
        return self.build(**self.extra_loss, **changes)


SMALL: dict[str, Any] = {"embedding_dim": 12, "word_dim": 6}
_SGRAF: dict[str, Any] = {"regions": 5, "similarity_dim": 8, "dropout": 0.0}
_HREM: dict[str, Any] = {"heads": 2, "top_k": 3, "dropout": 0.0, "start_step": 0}
_LGSF: dict[str, Any] = {
    "graph": {"heads": 3, "ff": 16, "zero_init": False}, "interaction": {"heads": 3, "ff": 16},
    "triangle": {"weight": 0.1},
}  # fmt: skip


def _arm(changes: dict[str, Any]) -> Form:
    parameters = {key: {**value, **changes.get(key, {})} for key, value in _LGSF.items()}
    fresh = {"graph": parameters["graph"] | {"zero_init": True}}  # the block is the identity
    return Form("lgsf.models.lgsf:LGSF", parameters, extra_loss={"triangle": {"weight": 0.0}}, at_start=fresh)


FORMS: dict[str, Form] = {
    **{arm: _arm(changes) for arm, changes in ARMS.items()},
    "vsepp": Form("baselines.vsepp:VSEPP"),
    **{
        f"scan_{direction}_{aggregation}": Form(
            "baselines.scan:SCAN", {"direction": direction, "aggregation": aggregation}, unit="fragments"
        )
        for direction in ("t2i", "i2t")
        for aggregation in ("lse", "mean")
    },
    "vse_inf": Form("baselines.vse_inf:VSEInfinity"),
    **{
        module: Form("baselines.sgraf:SGRAF", {**_SGRAF, "module": module}, order_matters=True, unit="fragments")
        for module in ("sgr", "saf")
    },
    **{
        f"vsrn_{variant}": Form(
            "baselines.vsrn:VSRN", {"variant": variant, "caption_dim": 8, "caption_dropout": 0.0}, order_matters=True,
            extra_loss={"caption_weight": 0.0},
        )
        for variant in ("coco", "f30k")
    },
    **{
        f"hrem_{loss}": Form("baselines.hrem:HREM", {**_HREM, "loss": loss}, extra_loss={"start_step": 1000})
        for loss in ("hinge", "distance_weighted")
    },
}  # fmt: skip


def all_method_classes() -> set[type[Method]]:
    """Every method that a module of baselines/ defines, and LGSF."""
    names = [f"baselines.{module.name}" for module in pkgutil.iter_modules(baselines.__path__)]
    found = set()
    for module in (importlib.import_module(name) for name in [*names, "lgsf.models.lgsf"]):
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Method) and value.__module__ == module.__name__:
                found.add(value)
    return found
