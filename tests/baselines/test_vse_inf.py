"""VSE-infinity equals its authors' code and keeps every method's promises."""

from __future__ import annotations

import torch

from baselines.vse_inf import VSEInfinity, VSEInfinityParameters, from_published
from tests.support.golden import Golden, assert_equals_golden
from tests.support.properties import SPEC, check_evaluation, check_training


def test_golden() -> None:
    case = Golden("vse_inf_bigru")
    options = VSEInfinityParameters(embedding_dim=32, word_dim=20)
    assert_equals_golden(case, VSEInfinity(options, case.spec), from_published)


def test_promises() -> None:
    torch.manual_seed(0)
    method = VSEInfinity(VSEInfinityParameters(embedding_dim=12, word_dim=6), SPEC)
    check_evaluation(method)
    check_training(method)
