"""The whole configuration of an experiment; pydantic alone, so that the workflow is planned without torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from lgsf.config.checks.parameter_keys import known_keys, unknown_key
from lgsf.config.checks.references import check_references
from lgsf.config.elsewhere.imports import ImportSettings
from lgsf.config.elsewhere.zero_shot import ZeroShotSettings
from lgsf.config.experiment import Listed
from lgsf.config.factorial import Factorial
from lgsf.config.loading import Loaded, Place, load
from lgsf.config.methods import EnsembleSettings, MethodSettings
from lgsf.config.names import ensemble_title
from lgsf.config.run_settings import MOST_PROCESSES, MOST_THREADS, TUNED_TRAINING, RunSettings, Training
from lgsf.config.tuning import Range, Tuning, ranges_of_method
from lgsf.config.validity import Validity
from lgsf.data.settings import DatasetSettings
from lgsf.fetch.settings import Download
from lgsf.system.errors import LgsfError
from lgsf.system.settings import ListOf, Name, PlainPath, Settings, Title, deep_merge, explain, place_of, plain_dicts

Folder = Literal["results", "resources", "reports", "logs", "benchmarks"]


class Transductive(Settings):
    """The diagnostic of batch-dependent evaluation; the comparison never uses it."""

    batch_size: int | None = Field(
        None, ge=1, le=2**20, description="pairs that hear each other; the training batch if null"
    )


class Run(Listed):
    """What this experiment runs: every listed dataset x method x seed."""

    methods: ListOf[Name] = Field(min_length=1)
    controls: ListOf[Literal["random", "oracle", "truth"]] = ("random", "oracle")
    zero_shot: ListOf[Name] = Field((), description="dual encoders off the shelf: one row each, without seeds")
    reference: Name = Field("vsepp", description="the method that differences are taken against")


class Config(Settings):
    """The configuration of one experiment."""

    experiment: Name = Field(description="names the report's folder")
    title: Title = ""
    pathvars: dict[Folder, PlainPath] = Field(default_factory=dict, description="where Snakemake puts things")
    run: Run
    datasets: dict[Name, DatasetSettings]
    downloads: dict[Name, Download] = Field(default_factory=dict, description="public files; none unless named here")
    offline: bool = Field(False, description="ask no server: say which file of `downloads` to put where")
    training: Training = Training()
    tuning: Tuning = Tuning()
    methods: dict[Name, MethodSettings]
    ensembles: dict[Name, EnsembleSettings] = Field(default_factory=dict, description="may stand in run.methods")
    zero_shot: dict[Name, ZeroShotSettings] = Field(default_factory=dict, description="may stand in run.zero_shot")
    imports: dict[Name, ImportSettings] = Field(
        default_factory=dict, description="models that were trained elsewhere; may stand in run.methods"
    )
    factorial: Factorial | None = Field(None, description="main effects and interactions of parts, from their methods")
    validity: Validity | None = Field(None, description="effects whose presence or absence is known beforehand")
    transductive: Transductive = Transductive()
    device: Literal["cpu", "cuda"] = Field("cpu", description="where training and scoring happen")
    threads: int = Field(
        1, ge=1, le=MOST_THREADS, description="CPU threads of one trainer; part of what makes a run repeatable"
    )
    processes: int = Field(
        1,
        ge=1,
        le=MOST_PROCESSES,
        description="processes that train one run together, each on a GPU where device is cuda",
    )
    memory_mb: int = Field(512, ge=16, le=2**24, description="memory for scores that are held during ranking")
    replace_runs: bool = Field(
        False, description="whether runs that another experiment made in the same results may be replaced"
    )

    @model_validator(mode="after")
    def _references(self) -> Config:
        check_references(self)
        return self

    def datasets_of(self, name: str) -> tuple[str, ...]:
        """The datasets of run.datasets that a method has runs on: all of them, or the one that an import is of."""
        own = self.imports[name].dataset if name in self.imports else None
        return self.run.datasets if own is None else tuple(d for d in self.run.datasets if d == own)

    @classmethod
    def parse(
        cls,
        raw: Mapping[str, Any],
        *,
        source: str = "the configuration",
        places: Mapping[Place, str] | None = None,
    ) -> Config:
        """Check a plain mapping; every problem becomes one sentence.

        places  path of a key -> where it was set, as lgsf.config.loading gives it

        Raises LgsfError naming the key, what is wrong, what is allowed and, where it is known, file and line.
        """
        try:
            return cls.model_validate(plain_dicts(raw))
        except ValidationError as error:
            sentence = f"{source}: {explain(error)}"
            where = _where_set(error, places or {})
            raise LgsfError(f"{sentence.removesuffix('.')} ({where})." if where else sentence) from None

    @classmethod
    def read(cls, files: Iterable[Path | str], arguments: Sequence[str] = ()) -> Config:
        """The configuration of files in order, each laid over those before, and of `key=value` on top."""
        return cls.of(load((Path(file) for file in files), arguments))

    @classmethod
    def of(cls, loaded: Loaded) -> Config:
        """What lgsf.config.loading read, checked.

        Raises LgsfError as `parse` does, and for a key under `parameters` that the method's class does not have, as far
        as that can be read without importing torch.
        """
        config = cls.parse(loaded.values, places=loaded.places)
        config._check_parameters(loaded.places)
        return config

    def _check_parameters(self, places: Mapping[Place, str]) -> None:
        """LgsfError for a parameter that a method's class does not know, with the place where it was set."""
        for name in self.methods:
            method = self.method(name)
            keys = known_keys(str(method.model))
            found = None if keys is None else unknown_key(method.parameters, keys)
            if found is None:
                continue
            path, known = found
            setter = next(link for link in self.lineage(name) if _holds(self.methods[link].parameters, path))
            where = places.get(("methods", setter, "parameters", *path))
            raise LgsfError(
                f"the configuration: unknown key 'methods.{setter}.parameters.{'.'.join(path)}': {method.model} knows "
                f"{', '.join(known)} there; check its spelling or remove it{f' ({where})' if where else ''}."
            )

    def lineage(self, name: str) -> list[str]:
        """The method `name` and what it extends, itself first."""
        chain: list[str] = []
        current: str | None = name
        while current is not None:
            if current in chain:
                raise ValueError(f"methods.{name}: 'extends' goes round in a circle ({' -> '.join([*chain, current])})")
            if current not in self.methods:
                raise ValueError(f"methods.{chain[-1]}.extends names {current!r}, which is not defined")
            chain.append(current)
            current = self.methods[current].extends
        return chain

    def method(self, name: str) -> MethodSettings:
        """The method `name` with everything it `extends` filled in; ranges are `ranges_of`'s."""
        merged: dict[str, Any] = {}
        for link in reversed(self.lineage(name)):
            own = self.methods[link].model_dump(exclude_unset=True, exclude={"extends", "ranges"})
            merged = {**deep_merge(merged, own), "title": own.get("title"), "published": own.get("published")}
        if merged.get("model") is None:
            raise ValueError(f"methods.{name}: 'model' is missing; give package.module:Class or 'extends'")
        return MethodSettings.model_validate({**merged, "extends": None})

    def members(self, name: str, seed: int) -> list[tuple[str, int]]:
        """The trained runs (method, training seed) behind seed `seed` of a method or an ensemble.

        Where an ensemble lists a method m times, its seed k takes that method's seeds m*k to m*k + m - 1: no two
        seeds of an ensemble share a run, so they are independent replicates and their spread is honest.
        """
        if name not in self.ensembles:
            return [(name, seed)]
        listed = self.ensembles[name].members
        return [
            (member, listed.count(member) * seed + listed[:place].count(member)) for place, member in enumerate(listed)
        ]

    def published_key(self, name: str) -> str | None:
        """The key of a method's or an ensemble's rows in config/published.csv, where it has any."""
        if name in self.zero_shot:
            return None
        if name in self.imports:
            return self.imports[name].published
        return (self.ensembles[name] if name in self.ensembles else self.methods[name]).published

    @property
    def published_keys(self) -> dict[str, str | None]:
        """The same of everything that may stand in run.methods."""
        return {name: self.published_key(name) for name in (*self.methods, *self.ensembles, *self.imports)}

    def title_of(self, name: str) -> str:
        """How tables call a method or an ensemble."""
        if name in self.ensembles:
            return ensemble_title(self.ensembles[name].title or name)
        if name in self.zero_shot:
            return self.zero_shot[name].title_of(name)
        if name in self.imports:
            return self.imports[name].title_of(name)
        return self.method(name).title or name

    def training_of(self, name: str) -> Training:
        """The default training with the method's own values on top."""
        try:
            return Training.model_validate(
                plain_dicts(deep_merge(self.training.model_dump(), self.method(name).training))
            )
        except ValidationError as error:
            raise LgsfError(f"methods.{name}.training: {explain(error)}") from None

    def run_settings(self, dataset: str, method: str) -> RunSettings:
        """What one method's runs on one dataset depend on: the input of `lgsf configure`."""
        settings = self.method(method)
        return RunSettings(
            dataset=dataset,
            method=method,
            model=str(settings.model),
            parameters=settings.parameters,
            training=self.training_of(method),
            device=self.device,
            threads=self.threads,
            processes=self.processes,
            tuned=settings.tuned,
        )

    def ranges_of(self, name: str) -> dict[str, Range]:
        """Path -> range of everything that `tune` may change of a method."""
        methods = [self.methods[link] for link in reversed(self.lineage(name))]
        links = [(m.ranges, {"parameters": m.parameters, "training": m.training}) for m in methods]
        try:
            return ranges_of_method(self.tuning.ranges, links, TUNED_TRAINING)
        except ValueError as error:
            raise LgsfError(f"methods.{name}.ranges: {error}.") from None

    def tuning_settings(self, dataset: str, method: str) -> dict[str, Any]:
        """What the tuning of one method on one dataset depends on, as plain JSON: the input of `lgsf ranges`."""
        ranges = self.ranges_of(method)
        return {
            "settings": self.run_settings(dataset, method).plain(),
            "lineage": self.lineage(method),
            "budget": self.tuning.model_dump(mode="json", exclude={"ranges"}),
            "shared": sorted(self.tuning.ranges),
            "ranges": {path: range_.model_dump(mode="json", exclude_defaults=True) for path, range_ in ranges.items()},
        }


def _holds(tree: Any, path: Sequence[str]) -> bool:
    """Whether a nested mapping has a key at `path`."""
    for key in path:
        if not isinstance(tree, Mapping) or key not in tree:
            return False
        tree = tree[key]
    return True


def _where_set(error: ValidationError, places: Mapping[Place, str]) -> str | None:
    """Where the key of an error's first problem, or the nearest key around it, was set."""
    first = error.errors()[0]
    place = place_of(first["loc"])
    if not place:  # of the whole: the sentence begins with the key
        place = tuple(first["msg"].removeprefix("Value error, ").partition(" ")[0].rstrip(":,").split("."))
    for length in range(len(place), 0, -1):
        if place[:length] in places:
            return places[place[:length]]
    return None
