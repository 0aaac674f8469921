"""What tuning may change and how often it may look: ranges, the budget, and what a tuned method carries.

Like all of lgsf.config this needs pydantic alone. How values are drawn from a range is lgsf.tuning.propose.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, WithJsonSchema, model_validator

from lgsf.system.settings import ListOf, Seed, Settings

SECTIONS = ("training", "parameters")


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("a finite number is needed")
    return value


Number = Annotated[int | float, PlainValidator(_number), WithJsonSchema({"type": "number"})]


class Range(Settings):
    """Values of one setting: a list of choices, or everything from low to high.

    Whole numbers for both ends give whole numbers; a decimal point at either gives decimals.
    """

    choices: ListOf[Any] | None = Field(None, description="the values to choose from")
    low: Number | None = Field(None, description="smallest value")
    high: Number | None = Field(None, description="largest value")
    step: Number | None = Field(None, description="distance between values; whole numbers have 1")
    log: bool = Field(False, description="equal factors are equally likely, not equal differences")

    @model_validator(mode="after")
    def _is_one_kind(self) -> Range:
        if self.choices is not None:
            if self.low is not None or self.high is not None or self.step is not None or self.log:
                raise ValueError("give either choices or low and high, not both")
            if len({json.dumps(c, sort_keys=True) for c in self.choices}) != len(self.choices) or not self.choices[1:]:
                raise ValueError("choices needs at least two values, no two of them equal")
            return self
        if self.low is None or self.high is None:
            raise ValueError("give choices, or both low and high")
        if not self.low < self.high:
            raise ValueError("low must be smaller than high")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("with log, low must be above zero and there is no step")
        if self.step is not None:
            steps = (self.high - self.low) / self.step if self.step > 0 else 0.0
            if steps < 0.5 or abs(steps - round(steps)) > 1e-6:
                raise ValueError("step must be above zero and lead from low to high in whole steps")
        return self

    @property
    def whole(self) -> bool:
        """Whether the values are whole numbers."""
        return all(isinstance(v, int) for v in (self.low, self.high, 1 if self.step is None else self.step))


class Budget(Settings):
    """How often tuning may look, the same for every method."""

    trials: int = Field(8, ge=1, le=100_000, description="trainings per method; the first has the configured values")
    seed: Seed = Field(0, description="decides what is tried; trials train with a seed that no run has")
    epochs: int | None = Field(
        None, ge=1, le=100_000, description="shorter schedule for trials; null: the method's own"
    )
    sampler: Literal["tpe", "random"] = Field("tpe", description="tpe learns from earlier trials; random does not")


class Tuning(Budget):
    """The budget, and the ranges that every method shares."""

    ranges: dict[str, Range] = Field(
        default_factory=lambda: {"training.learning_rate": Range(low=1e-4, high=5e-3, log=True)},
        min_length=1,
        description="training.<key> -> range that every method shares",
    )


def ranges_of_method(
    shared: Mapping[str, Range],
    links: Iterable[tuple[Mapping[str, Range | None], Mapping[str, Any]]],
    training_keys: Collection[str],
) -> dict[str, Range]:
    """Path -> range of everything that is tuned of one method: the shared ranges and its own.

    links          (own ranges, own settings) of the method and of what it extends, the method last
    training_keys  what may follow `training.`; what may follow `parameters.` its class knows

    A range is inherited, but not where the method sets the value itself: the arm of an ablation whose weight is
    0.0 keeps it. None takes an inherited range away. Raises ValueError for a path that cannot be tuned, and for
    a shared range that a method would change for itself.
    """
    own: dict[str, Range | None] = {}
    for ranges, settings in links:
        fixed = leaves(settings)
        own = {path: range_ for path, range_ in own.items() if path not in fixed} | dict(ranges)
    for path in own:
        _check_path(path, training_keys)
        if path in shared:
            raise ValueError(f"{path} stands in tuning.ranges, which all methods share; remove it from one of the two")
    return {path: range_ for path, range_ in sorted({**shared, **own}.items()) if range_ is not None}


def check_shared(shared: Iterable[str], training_keys: Collection[str]) -> None:
    """Raise ValueError unless every path may be shared by methods of any class."""
    for path in shared:
        if not path.startswith("training."):
            raise ValueError(f"tuning.ranges: {path} cannot be shared, parameters belong to one method; use training.*")
        if path.removeprefix("training.") not in set(training_keys):
            raise ValueError(f"tuning.ranges: {_unknown(path, training_keys)}")


def _check_path(path: str, training_keys: Collection[str]) -> None:
    section, _, key = path.partition(".")
    if section not in SECTIONS or not key:
        raise ValueError(f"{path!r} is no path to a setting; begin it with `training.` or `parameters.`")
    if section == "training" and key not in training_keys:
        raise ValueError(_unknown(path, training_keys))


def _unknown(path: str, training_keys: Collection[str]) -> str:
    return f"{path!r} cannot be tuned; what can is training.{', training.'.join(sorted(training_keys))}"


def leaves(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted path -> value of everything in a nested mapping that is no mapping itself."""
    out: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            out |= leaves(value, f"{prefix}{key}.")
        else:
            out[f"{prefix}{key}"] = value
    return out


def with_value(tree: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of `tree` in which the dotted `path` has `value`; what was there is replaced."""
    head, _, rest = path.partition(".")
    return {**tree, head: with_value(tree.get(head, {}), rest, value) if rest else value}
