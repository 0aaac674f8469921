"""What one experiment runs: the datasets x methods x seeds whose results share tables and a report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from lgsf.config.factorial import Factorial
from lgsf.config.names import ENSEMBLE_MARK, ensemble_title
from lgsf.system.errors import LgsfError
from lgsf.system.settings import Name, Settings, explain

SUBJECT = "lgsf"
BASE = "base"
CONTROL_TITLES = {
    "random": "Chance (random embeddings)",
    "oracle": "Oracle (ground truth)",
    "truth": "Truth (scene graph)",
}


class MethodEntry(Settings):
    """A method, how tables call it, and the key of its rows in published.csv; an ensemble's title says that it is one.

    choices  setting -> why it is as it is;  members  titles of the models behind an ensemble, each as often as it
    stands there. Both are words for the report alone.
    """

    name: Name
    title: str = Field(min_length=1)
    ensemble: bool = False
    published: Name | None = None
    choices: dict[str, str] = Field(default_factory=dict)
    members: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _marked(self) -> MethodEntry:
        if self.ensemble and self.title != ensemble_title(self.title):
            raise ValueError(f"the title {self.title!r} of an ensemble must end with '{ENSEMBLE_MARK}'")
        return self


class Experiment(Settings):
    """The list of runs that tables and report expect; whatever is not there is shown as missing."""

    experiment: Name
    title: str = ""
    datasets: tuple[Name, ...] = Field(min_length=1)
    methods: tuple[MethodEntry, ...] = Field(min_length=1)
    controls: tuple[Literal["random", "oracle", "truth"], ...] = ()
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1)
    reference: Name
    factorial: Factorial | None = None
    sources: dict[Name, str] = Field(default_factory=dict, description="dataset -> what its source is, in words")

    @classmethod
    def parse(cls, json_text: str) -> Experiment:
        """Read the JSON that the workflow hands over; LgsfError of one sentence otherwise."""
        try:
            json.loads(json_text)
        except json.JSONDecodeError as error:
            raise LgsfError(f"--experiment is not valid JSON ({error}); give the object in one argument.") from None
        try:
            return cls.model_validate_json(json_text)
        except ValidationError as error:
            raise LgsfError(f"--experiment: {explain(error)}") from None

    @property
    def references(self) -> tuple[str, ...]:
        """What differences are taken against: the reference, and the arm `base` with all parts off.

        The reference tells what a published method does on the same data; `base` shares encoders, pooling and
        schedule with LGSF, so that only this difference is about LGSF's parts.
        """
        names = {method.name for method in self.methods}
        return (self.reference, *({BASE} & names - {self.reference}))

    def expected(self) -> Iterator[ExpectedRun]:
        """Every run that should exist, in the order of the tables: methods as listed, then controls."""
        for dataset in self.datasets:
            for method in self.methods:
                for seed in self.seeds:
                    yield ExpectedRun(dataset, method.name, method.title, seed, is_ensemble=method.ensemble)
            for control in self.controls:
                for seed in self.seeds:
                    yield ExpectedRun(dataset, control, CONTROL_TITLES[control], seed, is_control=True)


@dataclass(frozen=True)
class ExpectedRun:
    """One dataset x method x seed; its folder is `<results>/<dataset>/<method>/seed<k>`."""

    dataset: str
    method: str
    title: str
    seed: int
    is_control: bool = False
    is_ensemble: bool = False

    @property
    def kind(self) -> str:
        """What a run of this entry is, where it has not finished and cannot say so itself."""
        return "control" if self.is_control else "ensemble" if self.is_ensemble else "trained"

    @property
    def folder(self) -> str:
        return f"{self.dataset}/{self.method}/seed{self.seed}"


def subject_of(experiment: Experiment) -> str:
    """The method that the first screen is about: LGSF, or else the first that is not the reference."""
    names = [method.name for method in experiment.methods]
    if SUBJECT in names:
        return SUBJECT
    return next((name for name in names if name != experiment.reference), names[0])
