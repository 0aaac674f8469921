"""Verdicts by hand-worked tolerances, reasons for what is not comparable, and the claim in both readings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lgsf.statistics import method_tests
from lgsf.statistics.simulation import Population
from lgsf.system.errors import LgsfError
from lgsf.verdict.published import Published, Spread, read_published, read_spread
from lgsf.verdict.rule import Own, claim_table, published_protocol, verdict, verdict_table


@pytest.fixture(scope="session")
def rows(repository: Path) -> list[Published]:
    return read_published(repository / "config/published.csv", repository / "config/published_sources.csv")


@pytest.fixture(scope="session")
def spread(repository: Path) -> list[Spread]:
    return read_spread(repository / "config/published_spread.csv")


def row_of(rows: Sequence[Published], method: str, protocol: str, text: str) -> Published:
    return next(r for r in rows if (r.method, r.protocol, r.text) == (method, protocol, text))


def sgr(i2t: Sequence[float], t2i: Sequence[float], rsum: Sequence[float]) -> Own:
    return Own(
        dataset="flickr30k", method="sgr", key="sgr", protocol="f30k_1k", text="BiGRU", visual="BUTD", ensemble=False,
        values={"i2t_r1": i2t, "t2i_r1": t2i, "rsum": rsum},
    )  # fmt: skip


def test_tolerance_by_hand(rows: list[Published], spread: list[Spread]) -> None:
    # published 75.2 / 56.2 / 488.8; SD of nine published runs 1.53 / 1.24 / 4.9
    got = verdict(sgr([74, 75, 76], [55, 56, 57], [484, 486, 488]), row_of(rows, "SGR", "f30k_1k", "BiGRU"), spread)
    assert got.word == "reproduced"
    tolerance = [2 * math.sqrt(sd**2 / 3 + published**2) for sd, published in ((1, 1.53), (1, 1.24), (2, 4.9))]
    assert [m.tolerance for m in got.metrics] == pytest.approx(tolerance)
    assert [m.difference for m in got.metrics] == pytest.approx([-0.2, -0.2, -2.8])
    assert got.notes == ("spread: 9 runs of SGR by Rao et al. (Flickr30K)",)


def test_below_and_above(rows: list[Published], spread: list[Spread]) -> None:
    row = row_of(rows, "SGR", "f30k_1k", "BiGRU")
    assert verdict(sgr([70, 70, 71], [50, 50, 51], [460, 462, 464]), row, spread).word == "below"
    assert verdict(sgr([80, 80, 81], [56, 56, 57], [489, 490, 491]), row, spread).word == "above"
    mixed = verdict(sgr([80, 80, 81], [40, 40, 41], [489, 490, 491]), row, spread)
    assert mixed.word == "below"  # t2i is further out than i2t
    assert "metrics differ: i2t R@1 above, t2i R@1 below and rSum reproduced" in mixed.notes


def test_a_single_seed_says_so_and_borrows_the_published_spread(rows: list[Published], spread: list[Spread]) -> None:
    got = verdict(sgr([75], [56], [486]), row_of(rows, "SGR", "f30k_1k", "BiGRU"), spread)
    assert got.notes[0].startswith("single seed")
    assert got.metrics[0].tolerance == pytest.approx(2 * math.sqrt(2) * 1.53)
    assert got.metrics[0].own_sd is None


def test_a_method_without_published_spread_gets_the_median(rows: list[Published], spread: list[Spread]) -> None:
    own = replace(sgr([73, 74], [56, 57], [488, 489]), method="saf", key="saf")
    got = verdict(own, row_of(rows, "SAF", "f30k_1k", "BiGRU"), spread)
    assert got.metrics[0].tolerance == pytest.approx(2 * math.sqrt(0.5 / 2 + 1.395**2))
    assert "median of the 6 methods" in got.notes[0]


@pytest.mark.parametrize(
    ("change", "method", "protocol", "text", "reason"),
    [
        ({}, "SGRAF*", "f30k_1k", "BiGRU", "ensemble: published is an average of several models, ours a single model"),
        ({"ensemble": True}, "SGR", "f30k_1k", "BiGRU", "ensemble: published is a single model, ours an average"),
        ({"text": "BERT"}, "SGR", "f30k_1k", "BiGRU", "text encoder: published with BiGRU, ours with BERT"),
        ({"visual": "grid"}, "SGR", "f30k_1k", "BiGRU", "features: published with BUTD, ours with grid"),
        ({"protocol": "coco1k_first"}, "SGR", "coco1k_5fold", "BiGRU", "mean of five folds .* ours .* first 1,000"),
        ({"protocol": "coco5k"}, "SGR", "coco1k_5fold", "BiGRU", "protocol: published"),
        ({"text": "?"}, "CORA", "f30k_1k", "?", "text encoder: its source does not say for certain"),
        ({"text": "unknown"}, "SGR", "f30k_1k", "BiGRU", "text encoder: our record does not say which"),
        ({"visual": "unknown"}, "SGR", "f30k_1k", "BiGRU", "features: our record does not say which"),
        ({"ensemble": None}, "SGR", "f30k_1k", "BiGRU", "ensemble: our record does not say whether"),
        ({"text": "BERT"}, "AAHR", "coco1k_5fold", "BERT", "ensemble: its source does not say"),
    ],
)
def test_other_inputs_are_not_comparable(
    rows: list[Published],
    spread: list[Spread],
    change: dict[str, Any],
    method: str,
    protocol: str,
    text: str,
    reason: str,
) -> None:
    own = replace(sgr([75, 75, 75], [56, 56, 56], [488, 488, 488]), **change)
    got = verdict(own, row_of(rows, method, protocol, text), spread)
    assert got.word == "not comparable"
    assert pd.Series([got.reason]).str.contains(reason).all(), got.reason
    assert all(m.word is None and m.tolerance is None for m in got.metrics)


def test_all_reasons_are_given(rows: list[Published], spread: list[Spread]) -> None:
    own = replace(sgr([75], [56], [488]), protocol=None, why_not="drawn data", text="GRU", ensemble=True)
    got = verdict(own, row_of(rows, "SGR", "f30k_1k", "BiGRU"), spread)
    assert got.reason.count(";") == 2
    assert got.reason.startswith("drawn data")


def test_rows_without_rsum_are_judged_by_r1(rows: list[Published], spread: list[Spread]) -> None:
    own = replace(sgr([84, 85], [62, 63], [520, 521]), method="hrem", key="hrem", text="BERT")
    got = verdict(own, row_of(rows, "HREM fusion (README)", "f30k_1k", "BERT"), spread)
    assert got.word == "reproduced"
    assert [m.word for m in got.metrics] == ["reproduced", "reproduced", None]
    assert "not published: rSum" in got.notes


def test_the_table_lists_every_row_of_the_method(rows: list[Published], spread: list[Spread]) -> None:
    table = verdict_table([sgr([75, 75.5], [56, 56.5], [488, 489])], rows, spread)
    words = table.drop_duplicates("line").set_index(["protocol", "published"])["verdict"].to_dict()
    assert words == {
        ("coco1k_5fold", "SGR"): "not comparable",
        ("coco1k_5fold", "SGR (README)"): "not comparable",
        ("coco5k", "SGR"): "not comparable",
        ("f30k_1k", "SGR"): "reproduced",
    }
    assert len(table) == 3 * len(words)
    assert verdict_table([], rows, spread).empty


def test_protocols() -> None:
    assert published_protocol("coco", images=5000, folds=5, protocol="folds") == ("coco1k_5fold", "")
    assert published_protocol("coco", images=5000, folds=5, protocol="full") == ("coco5k", "")
    assert published_protocol("coco", images=1000, folds=1, protocol="full") == ("coco1k_first", "")
    assert published_protocol("flickr30k", images=1000, folds=1, protocol="full") == ("f30k_1k", "")
    for dataset, images in (("coco", 500), ("flickr30k", 200), ("scenes", 1000), ("flickr8k", 1000)):
        protocol, why_not = published_protocol(dataset, images=images, folds=1, protocol="full")
        assert protocol is None
        assert dataset in why_not


@pytest.fixture(scope="module")
def comparisons() -> pd.DataFrame:
    runs = Population(images=1000, seed=0.02).draw(np.random.default_rng(0), seeds=(3, 3), ability=0.1)
    runs["single"] = runs["a"][:1]
    return method_tests(runs, "b", resamples=200)


def test_claim_in_both_readings(comparisons: pd.DataFrame) -> None:
    table = claim_table(comparisons, method="a", reference="b")
    assert [tuple(x) for x in table[["metric", "reading", "claimed"]].to_numpy()] == [
        ("t2i_r1", "relative", 6.4),
        ("t2i_r1", "absolute", 6.4),
        ("i2t_r1", "relative", 1.3),
        ("i2t_r1", "absolute", 1.3),
    ]
    by_scope = comparisons[(comparisons["scope"] == "methods") & (comparisons["method"] == "a")]
    by_scope = by_scope.set_index("metric").to_dict("index")
    for line in table.itertuples():
        source = by_scope[line.metric]
        expected = (
            "smaller than claimed" if line.high < line.claimed
            else "larger than claimed" if line.low > line.claimed
            else "agrees with the claim" if line.low > 0 and source["finding"] == "beats"
            else "agrees with the claim; no gain shown after correction" if line.low > 0
            else "agrees with the claim, and with no gain"
        )  # fmt: skip
        assert line.verdict == expected
    source = comparisons[(comparisons["scope"] == "methods") & (comparisons["metric"] == "t2i_r1")].iloc[0]
    assert table["measured"][0] == source["relative"]
    assert table["high"][1] == source["high"]
    assert set(table["reference"]) == {"b"}


def test_claim_below_three_seeds_has_no_verdict(comparisons: pd.DataFrame) -> None:
    table = claim_table(comparisons, method="single", reference="b")
    assert set(table["verdict"]) == {"no verdict: needs 3 seeds of both methods, has 1 and 3"}
    assert table["measured"].notna().all()


def test_claim_needs_its_comparison(comparisons: pd.DataFrame) -> None:
    with pytest.raises(LgsfError, match="no R@1 of 'a' against 'vsepp'"):
        claim_table(comparisons, method="a", reference="vsepp")


@pytest.mark.parametrize(
    ("low", "high", "finding", "word"),
    [
        (7.0, 9.0, "beats", "larger than claimed"),
        (5.0, 8.0, "beats", "agrees with the claim"),
        (5.0, 8.0, "no difference shown", "agrees with the claim; no gain shown after correction"),
        (-1.0, 8.0, "no difference shown", "agrees with the claim, and with no gain"),
        (-1.0, 6.0, "no difference shown", "smaller than claimed"),
        (-9.0, -2.0, "is beaten by", "smaller than claimed"),
    ],
)
def test_words_of_the_claim_by_hand(low: float, high: float, finding: str, word: str) -> None:
    """The claim for image retrieval is 6.4: it agrees where the interval holds it."""
    row = {"scope": "methods", "method": "a", "other": "b", "difference": 1.0, "relative": 1.0, "note": ""}
    row |= {"low": low, "high": high, "relative_low": low, "relative_high": high, "seeds": 3, "seeds_other": 3}
    table = pd.DataFrame([row | {"metric": metric, "finding": finding} for metric in ("t2i_r1", "i2t_r1")])
    found = claim_table(table, method="a", reference="b").set_index(["metric", "reading"])["verdict"]
    assert found["t2i_r1", "relative"] == found["t2i_r1", "absolute"] == word
