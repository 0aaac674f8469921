"""Which values a trial has: the configured ones, then drawn ones, then what the Parzen estimator suggests.

A trial is a function of the seed, the method and the outcomes of the trials before it; no state is kept
beside the list of these outcomes. A study of Optuna is made afresh for every proposal, from the records. TPE:
Bergstra, Bardenet, Bengio and Kegl, Algorithms for Hyper-Parameter Optimization, NeurIPS 2011, section 4.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lgsf.config.tuning import Budget, Range

DRAWN = 4  # trials before the estimator has enough to go by, the configured one included
DIGITS = 3  # significant digits of a decimal value: what a config file says is what was tried
WORST = 0.0  # the rSum that the estimator is told of a trial that failed


@dataclass(frozen=True)
class Outcome:
    """What a finished trial had and reached; rsum is None if it failed."""

    values: Mapping[str, Any]
    rsum: float | None


def propose(
    ranges: Mapping[str, Range],
    budget: Budget,
    *,
    method: str,
    configured: Mapping[str, Any],
    before: Sequence[Outcome],
) -> dict[str, Any]:
    """Path -> value of the trial that follows `before`.

    The first trial has the `configured` values. Drawn values depend on (seed, trial, path) and not on the method, so that
    trial k tries the same value of a shared range on every method.
    """
    number = len(before)
    if number == 0:
        return {path: configured[path] for path in sorted(ranges)}
    if number < DRAWN or budget.sampler == "random":
        return {path: at(ranges[path], _uniform(budget.seed, number, path)) for path in sorted(ranges)}
    return _estimate(ranges, budget.seed, method, before)


def _uniform(*key: object) -> float:
    """A number in [0, 1) that is a function of the key."""
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _estimate(ranges: Mapping[str, Range], seed: int, method: str, before: Sequence[Outcome]) -> dict[str, Any]:
    """The next trial by Optuna's tree-structured Parzen estimator."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    names = sorted(ranges)
    distributions: dict[str, optuna.distributions.BaseDistribution] = {n: _distribution(ranges[n]) for n in names}
    sampler = optuna.samplers.TPESampler(seed=int(2**31 * _uniform(seed, len(before), method)), n_startup_trials=0)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for outcome in before:
        study.add_trial(
            optuna.trial.create_trial(
                params={name: _coordinate(ranges[name], outcome.values[name]) for name in names},
                distributions=distributions,
                value=WORST if outcome.rsum is None else outcome.rsum,
            )
        )
    suggested = study.ask(distributions).params
    return {name: _value(ranges[name], suggested[name]) for name in names}


def _distribution(range_: Range) -> Any:
    """The range for Optuna; choices are known to it by their number, since they may be lists."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if range_.choices is not None:
        return CategoricalDistribution(tuple(range(len(range_.choices))))
    if range_.whole:
        return IntDistribution(_int(range_.low), _int(range_.high), log=range_.log, step=_int(range_.step or 1))
    return FloatDistribution(_float(range_.low), _float(range_.high), log=range_.log, step=range_.step)


def _coordinate(range_: Range, value: Any) -> Any:
    if range_.choices is not None:
        return next(number for number, choice in enumerate(range_.choices) if _same(value, choice))
    return int(value) if range_.whole else float(value)


def _value(range_: Range, coordinate: Any) -> Any:
    if range_.choices is not None:
        return range_.choices[coordinate]
    return int(coordinate) if range_.whole else _tidy(range_, float(coordinate))


def at(range_: Range, share: float) -> Any:
    """The value at a share in [0, 1) of the range: 0 is its low end, or its first choice."""
    if range_.choices is not None:
        return range_.choices[int(share * len(range_.choices))]
    low, high = _float(range_.low), _float(range_.high)
    if range_.log:
        if range_.whole:  # a whole number stands for everything that is rounded to it
            low, high = low - 0.5, high + 0.5
        value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        return min(max(round(value), _int(range_.low)), _int(range_.high)) if range_.whole else _tidy(range_, value)
    step = range_.step if range_.step is not None else 1 if range_.whole else None
    if step is None:
        return _tidy(range_, low + share * (high - low))
    steps = int(share * (round((high - low) / step) + 1))
    return _int(range_.low) + steps * _int(step) if range_.whole else _on_grid(range_, steps)


def contains(range_: Range, value: Any) -> bool:
    """Whether the range allows this very value."""
    if range_.choices is not None:
        return any(_same(value, choice) for choice in range_.choices)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    low, high = _float(range_.low), _float(range_.high)
    if not low <= value <= high or (range_.whole and value != int(value)):
        return False
    steps = (value - low) / (range_.step or 1)
    return range_.step is None or abs(steps - round(steps)) < 1e-6


def ends(range_: Range) -> tuple[Any, ...]:
    """The values that show whether a method accepts the range: all choices, or low and high."""
    return range_.choices if range_.choices is not None else (range_.low, range_.high)


def show(range_: Range) -> str:
    """The range as a reader would say it."""
    if range_.choices is not None:
        return f"[{', '.join(json.dumps(choice) for choice in range_.choices)}]"
    step = f" in steps of {range_.step}" if range_.step is not None else ""
    return f"{range_.low} to {range_.high}{step}"


def _tidy(range_: Range, value: float) -> float:
    """Rounded to what a person would write, inside the range and on its grid."""
    if range_.step is not None:
        return _on_grid(range_, round((value - _float(range_.low)) / range_.step))
    return min(max(float(f"{value:.{DIGITS}g}"), _float(range_.low)), _float(range_.high))


def _on_grid(range_: Range, steps: int) -> float:
    return float(f"{_float(range_.low) + steps * _float(range_.step):.10g}")


def _same(one: Any, other: Any) -> bool:
    """Equal as a setting: 1 and 1.0 are, 1 and true are not."""
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other and isinstance(one, bool) == isinstance(other, bool)
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _float(number: int | float | None) -> float:
    assert number is not None
    return float(number)


def _int(number: int | float | None) -> int:
    assert number is not None
    return int(number)
