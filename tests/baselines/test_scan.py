"""SCAN equals its authors' code in all four variants and keeps every method's promises."""

from __future__ import annotations

from typing import Literal

import pytest
import torch

from baselines.scan import SCAN, SCANParameters, from_published
from lgsf.system.errors import LgsfError
from tests.support.golden import Golden, assert_equals_golden
from tests.support.properties import SPEC, check_evaluation, check_training, ragged_batch, scores

VARIANTS = [("t2i", "lse"), ("t2i", "mean"), ("i2t", "lse"), ("i2t", "mean")]


@pytest.mark.parametrize(("direction", "aggregation"), VARIANTS)
def test_golden(direction: Literal["t2i", "i2t"], aggregation: Literal["lse", "mean"]) -> None:
    case = Golden(f"scan_{direction}_{'lse' if aggregation == 'lse' else 'avg'}")
    options = SCANParameters(
        direction=direction, aggregation=aggregation, embedding_dim=32, word_dim=20,
        lambda_softmax=float(case["lambda_softmax"]), lambda_lse=float(case["lambda_lse"]),
    )  # fmt: skip
    assert_equals_golden(case, SCAN(options, case.spec), from_published)


@pytest.mark.parametrize(("direction", "aggregation"), VARIANTS)
def test_promises(direction: Literal["t2i", "i2t"], aggregation: Literal["lse", "mean"]) -> None:
    torch.manual_seed(0)
    options = SCANParameters(
        direction=direction, aggregation=aggregation, embedding_dim=12, word_dim=6, lambda_lse=20.0
    )
    method = SCAN(options, SPEC)
    check_evaluation(method)
    check_training(method)


def test_the_paper_cuts_where_the_code_leaks() -> None:
    """With [x]_+ a word that is opposed to every region attends to all of them alike."""
    torch.manual_seed(0)
    code = SCAN(SCANParameters(embedding_dim=12, word_dim=6), SPEC)
    torch.manual_seed(0)
    paper = SCAN(SCANParameters(embedding_dim=12, word_dim=6, leak=0.0), SPEC)
    difference = (scores(code, ragged_batch()) - scores(paper, ragged_batch())).abs().max()
    assert 1e-4 < difference < 0.5


def test_a_checkpoint_of_another_method_is_refused() -> None:
    with pytest.raises(LgsfError, match="SGR_module"):
        from_published({"sim_enc.SGR_module.0.graph_query_w.weight": torch.zeros(1)})
