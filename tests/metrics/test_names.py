"""The table of metrics: every row has its function, every function its row, every column its label."""

from __future__ import annotations

import numpy as np
import pytest

from lgsf.metrics.names import (
    HEADLINE,
    KEY_METRICS,
    MEASURES,
    METRICS,
    PRIMARY,
    RANK_METRICS,
    RECALLS,
    TESTED,
    higher_is_better,
    metric_label,
)
from lgsf.metrics.recall import FUNCTIONS, RECALL_AT, metrics
from lgsf.system.errors import LgsfError


def test_rows_and_functions_belong_together() -> None:
    assert {m.name for m in MEASURES if m.directed} == set(FUNCTIONS)
    assert {m.name for m in MEASURES if m.kind == "recall"} == {f"r{k}" for k in RECALL_AT}
    ranks = np.array([0, 3, 12])
    assert set(metrics(ranks, ranks)) == set(RANK_METRICS)


def test_the_order_is_that_of_every_table() -> None:
    assert RECALLS == ("i2t_r1", "i2t_r5", "i2t_r10", "t2i_r1", "t2i_r5", "t2i_r10")
    assert (*RECALLS, "rsum", "i2t_medr", "i2t_meanr", "t2i_medr", "t2i_meanr") == RANK_METRICS
    assert (*RECALLS, "rsum") == TESTED  # lgsf.statistics keeps its arrays in this order
    assert (*RECALLS, "rsum") == HEADLINE
    assert KEY_METRICS == ("i2t_r1", "t2i_r1", "rsum")
    assert PRIMARY == ("i2t_r1", "t2i_r1")


def test_flags_fit_what_the_statistics_can_do() -> None:
    assert set(KEY_METRICS) <= set(TESTED) & set(HEADLINE)
    assert set(PRIMARY) <= set(KEY_METRICS)


def test_labels_and_direction() -> None:
    names = ("i2t_r10", "rsum", "twin_relation", "t2i_medr")
    assert [metric_label(name) for name in names] == ["i2t R@10", "rSum", "relation twins", "t2i median rank"]
    assert len({metric.label for metric in METRICS.values()}) == len(METRICS)
    assert [higher_is_better(name) for name in names] == [True, True, True, False]


@pytest.mark.parametrize("name", ["i2t_mrr", "r1", "t2i_", "RSUM"])
def test_a_name_without_a_row_is_an_error(name: str) -> None:
    with pytest.raises(LgsfError, match=r"has no label: give it a row in lgsf/metrics/names\.py"):
        metric_label(name)
