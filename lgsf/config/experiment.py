"""What one experiment runs: the datasets x methods x seeds whose results share tables and a report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from lgsf.config.factorial import Factorial
from lgsf.config.loading import read_json_argument
from lgsf.config.names import (
    CONTROLS,
    ENSEMBLE_MARK,
    IMPORTED_MARK,
    RESERVED_DATASETS,
    ZERO_SHOT_MARK,
    ensemble_title,
    imported_title,
    zero_shot_title,
)
from lgsf.config.validity import Validity
from lgsf.system.errors import LgsfError
from lgsf.system.settings import ListOf, Name, Seed, Settings, Title, explain

SUBJECT = "lgsf"
BASE = "base"
CONTROL_TITLES = {
    "random": "Chance (random embeddings)",
    "oracle": "Oracle (ground truth)",
    "truth": "Truth (scene graph)",
}


class MethodEntry(Settings):
    """A method, how tables call it, and the key of its rows in published.csv; titles mark what was not trained here.

    seeds, datasets  of an import: those that it has runs of; None for all of the experiment
    choices  setting -> why it is as it is;  members  titles of the models behind an ensemble, each as often as it
    stands there. Both are words for the report alone.
    """

    name: Name
    title: Title
    ensemble: bool = False
    zero_shot: bool = False
    imported: bool = False
    seeds: tuple[Seed, ...] | None = None
    datasets: ListOf[Name] | None = None
    published: Name | None = None
    choices: dict[str, str] = Field(default_factory=dict)
    members: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _marked(self) -> MethodEntry:
        if self.ensemble and self.title != ensemble_title(self.title):
            raise ValueError(f"the title {self.title!r} of an ensemble must end with '{ENSEMBLE_MARK}'")
        if self.zero_shot and self.title != zero_shot_title(self.title):
            raise ValueError(f"the title {self.title!r} of a zero-shot model must end with '{ZERO_SHOT_MARK}'")
        if self.imported and self.title != imported_title(self.title):
            raise ValueError(f"the title {self.title!r} of an imported model must end with '{IMPORTED_MARK}'")
        return self


class Listed(Settings):
    """Datasets, controls and seeds that are run: what the configuration and the list of a table's runs share."""

    datasets: ListOf[Name] = Field(min_length=1)
    controls: ListOf[Literal["random", "oracle", "truth"]] = ()
    seeds: ListOf[Seed] = Field(min_length=1)

    @field_validator("datasets", "methods", "controls", "zero_shot", "seeds", mode="after", check_fields=False)
    @classmethod
    def _each_once(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        """A run that is counted twice is no replicate."""
        entries = [getattr(entry, "name", entry) for entry in value]
        if twice := [entry for entry in entries if entries.count(entry) > 1]:
            raise ValueError(f"{twice[0]!r} is listed twice; name each once")
        return value

    @field_validator("datasets", mode="after")
    @classmethod
    def _no_folder_of_ours(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if taken := sorted(set(value) & set(RESERVED_DATASETS)):
            raise ValueError(f"{taken[0]!r} is a folder that stands beside those of the datasets; choose another name")
        return value


class Experiment(Listed):
    """The list of runs that tables and report expect; whatever is not there is shown as missing."""

    experiment: Name
    title: str = ""
    methods: tuple[MethodEntry, ...] = Field(min_length=1)
    reference: Name
    factorial: Factorial | None = None
    validity: Validity | None = None
    sources: dict[Name, str] = Field(default_factory=dict, description="dataset -> what its source is, in words")

    @field_validator("methods", mode="after")
    @classmethod
    def _no_control(cls, value: tuple[MethodEntry, ...]) -> tuple[MethodEntry, ...]:
        if taken := [method.name for method in value if method.name in CONTROLS]:
            raise ValueError(f"{taken[0]!r} is the name of a control; list it under controls")
        return value

    @model_validator(mode="after")
    def _fair_reference(self) -> Experiment:
        if any(method.zero_shot and method.name == self.reference for method in self.methods):
            raise ValueError(f"the reference {self.reference!r} was trained on other data; name a method trained here")
        return self

    @classmethod
    def parse(cls, json_text: str) -> Experiment:
        """Read the JSON that the workflow hands over; LgsfError of one sentence otherwise."""
        try:
            return cls.model_validate_json(json.dumps(read_json_argument(json_text, "--experiment")))
        except ValidationError as error:
            raise LgsfError(f"--experiment: {explain(error)}") from None

    @property
    def references(self) -> tuple[str, ...]:
        """What differences are taken against: the reference, and the arm `base` with all parts off.

        The reference tells what a published method does on the same data; `base` shares encoders, pooling and
        schedule with LGSF, so that only this difference is about LGSF's parts.
        """
        names = {method.name for method in self.methods if not method.zero_shot}
        return (self.reference, *({BASE} & names - {self.reference}))

    def expected(self) -> Iterator[ExpectedRun]:
        """Every run that should exist, in the order of the tables: methods as listed, then controls."""
        for dataset in self.datasets:
            for method in self.methods:
                if method.datasets is not None and dataset not in method.datasets:
                    continue
                own = self.seeds if method.seeds is None else method.seeds
                for seed in (0,) if method.zero_shot else own:  # nothing of it is random
                    kinds = {"is_ensemble": method.ensemble, "is_zero_shot": method.zero_shot}
                    kinds |= {"is_imported": method.imported}
                    yield ExpectedRun(dataset, method.name, method.title, seed, **kinds)
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
    is_zero_shot: bool = False
    is_imported: bool = False

    @property
    def kind(self) -> str:
        """What a run of this entry is, where it has not finished and cannot say so itself."""
        kinds = {"control": self.is_control, "ensemble": self.is_ensemble, "zero_shot": self.is_zero_shot}
        kinds |= {"imported": self.is_imported}
        return next((kind for kind, is_so in kinds.items() if is_so), "trained")

    @property
    def folder(self) -> str:
        return f"{self.dataset}/{self.method}/seed{self.seed}"


def subject_of(experiment: Experiment) -> str:
    """The method that the first screen is about: LGSF, or else the first that is not the reference."""
    names = [method.name for method in experiment.methods]
    if SUBJECT in names:
        return SUBJECT
    return next((name for name in names if name != experiment.reference), names[0])
