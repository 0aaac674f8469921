"""Learning rates of groups: a step by hand, and one group where a method has no factors."""

from __future__ import annotations

import pytest
import torch

from lgsf.config.run_settings import Training
from lgsf.models.base import DataSpec, Method, Parameters
from lgsf.training.optimizer import build_optimizer, parameter_groups, set_learning_rate


class Three(Method):
    """Three weights, two of which have factors."""

    factors: dict[str, float] = {}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__(Parameters(), DataSpec(region_dim=1, vocabulary_size=1))
        self.new = torch.nn.Linear(1, 1, bias=False)
        self.old = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False))

    def learning_rate_factors(self) -> dict[str, float]:
        return self.factors


def test_a_step_of_every_group() -> None:
    """Adam's first step is the learning rate, whatever the gradient."""
    method = Three()
    method.factors = {"old.": 0.1, "old.1.": 0.5}  # the longest prefix counts
    optimizer = build_optimizer(method, Training(weight_decay=0.0))
    set_learning_rate(optimizer, 0.01)
    before = [float(p.detach()) for p in method.parameters()]
    torch.stack([p.sum() for p in method.parameters()]).sum().backward()
    optimizer.step()
    steps = [old - float(p.detach()) for old, p in zip(before, method.parameters(), strict=True)]
    assert steps == pytest.approx([0.01, 0.001, 0.005], rel=1e-3)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.01, 0.001, 0.005])


def test_without_factors_all_parameters_are_one_group_in_their_order() -> None:
    method = Three()
    (group,) = parameter_groups(method)
    assert group["factor"] == 1
    assert [id(p) for p in group["params"]] == [id(p) for p in method.parameters()]


def test_a_prefix_that_fits_nothing_is_a_mistake() -> None:
    method = Three()
    method.factors = {"odl.": 0.1}
    with pytest.raises(ValueError, match=r"'odl\.'"):
        parameter_groups(method)
