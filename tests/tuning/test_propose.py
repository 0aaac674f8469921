"""Proposals: the first as configured, drawn ones alike for all methods, the rest a function of what came before."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from typing import Any

import pytest

from lgsf.config.tuning import Budget, Range
from lgsf.tuning.propose import DRAWN, Outcome, at, contains, propose

RANGES = {
    "parameters.heads": Range(low=1, high=8),
    "parameters.kind": Range(choices=("a", [1, 2], None)),
    "training.learning_rate": Range(low=1e-4, high=1e-2, log=True),
    "training.word_drop": Range(low=0.0, high=0.4, step=0.1),
}
CONFIGURED = {
    "parameters.heads": 4,
    "parameters.kind": "a",
    "training.learning_rate": 2e-3,
    "training.word_drop": 0.3,
}


def search(
    trials: int, score: Callable[[dict[str, Any]], float | None], *, method: str = "m", **budget: Any
) -> list[dict[str, Any]]:
    before: list[Outcome] = []
    for _ in range(trials):
        values = propose(RANGES, Budget(**budget), method=method, configured=CONFIGURED, before=before)
        before.append(Outcome(values, score(values)))
    return [dict(outcome.values) for outcome in before]


def distance(values: dict[str, Any]) -> float:
    """From the best learning rate, in factors of ten."""
    return abs(math.log10(values["training.learning_rate"] / 6e-4))


@pytest.mark.parametrize(
    ("range_", "share", "value"),
    [
        (Range(low=0.0, high=2.0), 0.25, 0.5),
        (Range(low=0.001, high=0.1, log=True), 0.5, 0.01),
        (Range(low=0.0, high=1.0), 0.123456, 0.123),
        (Range(low=0.12345, high=0.2), 0.0, 0.12345),
        (Range(low=2, high=8, step=2), 0.0, 2),
        (Range(low=2, high=8, step=2), 0.49, 4),
        (Range(low=2, high=8, step=2), 0.51, 6),
        (Range(low=2, high=8, step=2), 0.999, 8),
        (Range(low=0.1, high=0.4, step=0.1), 0.6, 0.3),
        (Range(low=1, high=100, log=True), 0.0, 1),
        (Range(low=1, high=100, log=True), 0.999999, 100),
        (Range(choices=("x", "y", "z")), 0.34, "y"),
    ],
)
def test_a_share_of_a_range(range_: Range, share: float, value: object) -> None:
    assert at(range_, share) == value
    assert type(at(range_, share)) is type(value)
    assert contains(range_, value)


@pytest.mark.parametrize(
    ("range_", "value"),
    [
        (Range(low=1, high=8), 9),
        (Range(low=1, high=8), 2.5),
        (Range(low=1, high=8), True),
        (Range(low=0.0, high=1.0), "0.5"),
        (Range(low=0.0, high=0.4, step=0.1), 0.25),
        (Range(choices=(1, 2)), True),
    ],
)
def test_what_a_range_does_not_contain(range_: Range, value: object) -> None:
    assert not contains(range_, value)


def test_the_first_trial_is_the_configuration() -> None:
    assert search(1, distance)[0] == CONFIGURED


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_every_value_is_in_its_range_and_as_short_as_it_is_written(sampler: str) -> None:
    tried = search(16, lambda values: 600 - distance(values), sampler=sampler)
    for values in tried:
        assert values.keys() == RANGES.keys()
        for path, value in values.items():
            assert contains(RANGES[path], value), (path, value)
        assert values["training.learning_rate"] == float(f"{values['training.learning_rate']:.3g}")
        assert isinstance(values["parameters.heads"], int)
    assert len({v["training.learning_rate"] for v in tried}) > 12


def test_drawn_values_are_the_same_for_every_method_and_every_outcome() -> None:
    one = search(DRAWN + 2, lambda _: 1.0, method="one")
    other = search(DRAWN + 2, lambda values: values["parameters.heads"], method="other")
    assert one[:DRAWN] == other[:DRAWN]
    assert one[DRAWN:] != other[DRAWN:]
    assert search(2, lambda _: 1.0, seed=1)[1] != one[1]
    shared = {"training.learning_rate": RANGES["training.learning_rate"]}
    alone = propose(shared, Budget(), method="x", configured=CONFIGURED, before=[Outcome(one[0], 1.0)])
    assert alone == {"training.learning_rate": one[1]["training.learning_rate"]}


def test_a_proposal_needs_nothing_but_the_records() -> None:
    """Asked again from the records alone, in any order, every trial is the one that was asked first."""
    score = lambda values: 600 - distance(values)  # noqa: E731
    tried = search(9, score)
    for number in (8, 4, 6, 2):
        before = [Outcome(values, score(values)) for values in tried[:number]]
        again = propose(RANGES, Budget(trials=20), method="m", configured=CONFIGURED, before=before)
        assert again == tried[number]


def test_the_estimator_learns_and_random_does_not() -> None:
    means = {
        sampler: statistics.mean(
            distance(values)
            for seed in range(2)
            for values in search(24, lambda v: 600 - 50 * distance(v), sampler=sampler, seed=seed)[12:]
        )
        for sampler in ("tpe", "random")
    }
    assert means["tpe"] < 0.8 * means["random"]


def test_the_estimator_avoids_what_failed() -> None:
    """Everything above 1e-3 fails: a failure is no lost answer, but the worst of answers."""
    rate = "training.learning_rate"
    tried = search(22, lambda values: None if values[rate] > 1e-3 else 300.0)
    assert sum(values[rate] > 1e-3 for values in tried[12:]) <= 3
