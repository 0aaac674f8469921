"""The whole configuration as frozen models: unknown keys and wrong types are errors of one sentence.

This module needs pydantic alone, so that the workflow can be planned without torch. The parameters of
a method are checked by the method's own class when its `configure` step runs.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from lgsf.errors import LgsfError
from lgsf.ranges import Range, Tuned, Tuning, check_shared, ranges_of_method
from lgsf.settings import Name as Name
from lgsf.settings import Settings as Settings

CONFIG_SCHEMA_VERSION = 1
CONTROLS = ("random", "oracle", "truth")
EVAL_INTERACTION = ("off", "file", "shuffled", "one_per_image")  # how LGSF's interaction could enter evaluation
ENSEMBLE_MARK = " (ensemble)"
Folder = Literal["results", "resources", "reports", "logs", "benchmarks"]


class ScenesSource(Settings):
    """The built-in dataset: drawn pictures with captions made from their scene graphs."""

    source: Literal["scenes"]
    seed: int = Field(2026, ge=0, description="seed of the drawing; the same seed gives the same bytes")
    train: int = Field(2000, ge=8, multiple_of=2, description="training images; twins come in pairs")
    dev: int = Field(500, ge=8, multiple_of=2, description="development images; an even number")
    test: int = Field(500, ge=8, multiple_of=2, description="test images; an even number")
    size: int = Field(192, ge=160, le=256, description="width and height of a picture in pixels")
    max_regions: int = Field(12, ge=2, le=36, description="boxes kept per image")
    position: bool = Field(True, description="append box coordinates to the region features")
    min_count: int = Field(2, ge=1, description="a word needs this many training occurrences")
    folds: int = Field(1, ge=1, description="folds of the test protocol")


class PrecompSource(Settings):
    """A pack in the layout of the field (SCAN): {split}_ims.npy, _caps.txt, optional _ids.txt, _boxes.npy."""

    source: Literal["precomp"]
    path: str = Field(description="folder of the pack")
    train: str = Field("train", description="prefix of the training files")
    dev: str = Field("dev", description="prefix of the development files")
    test: str = Field("test", description="prefix of the test files, for COCO usually testall")
    captions_per_image: int = Field(5, ge=1, description="consecutive caption lines that belong to one image")
    images: str | None = Field(None, description="folder of the photos, for the report's gallery alone")
    licence: str = Field("unknown", description="licence of the pack, for the record")
    features: str = Field("unknown", min_length=1, description="what the region features are: BUTD is the usual pack")
    min_count: int = Field(4, ge=1, description="a word needs this many training occurrences")
    folds: int = Field(1, ge=1, description="folds of the test protocol; 5 is COCO's 1K protocol beside the full test")
    limit_train: int | None = Field(None, ge=2, description="use only the first images of the training split")
    limit_eval: int | None = Field(None, ge=2, description="use only the first images of dev and test")


DatasetSettings = Annotated[ScenesSource | PrecompSource, Field(discriminator="source")]


class Training(Settings):
    """How a model is trained. The same for every method unless a method overrides it."""

    batch_size: int = Field(128, ge=2, description="image-caption pairs per step")
    epochs: int = Field(15, ge=1, description="passes over the training captions")
    optimizer: Literal["adamw", "adam"] = "adamw"
    learning_rate: float = Field(5e-4, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    warmup_steps: int = Field(0, ge=0, description="steps over which the learning rate grows linearly from zero")
    decay_epochs: tuple[int, ...] = Field((), description="epochs after which the learning rate is multiplied")
    decay_factor: float = Field(0.1, gt=0, le=1)
    clip_norm: float = Field(2.0, gt=0, description="limit of the gradient norm")
    sum_steps: int = Field(300, ge=0, description="steps with the sum of all violations before hardest negatives")
    region_drop: float = Field(0.0, ge=0, lt=1, description="chance to drop a region in training")
    word_drop: float = Field(0.0, ge=0, lt=1, description="chance to drop or mask a word in training")
    length_buckets: int = Field(
        0, ge=0, description="batches at a time that are made up of captions of like length; 0 is off"
    )
    precision: Literal["float32", "bfloat16"] = Field("float32", description="bfloat16 autocast needs CUDA")

    @field_validator("decay_epochs", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value


# The budget of tuning is trials x epochs, the same for every method; precision is a matter of the machine.
TUNED_TRAINING = tuple(key for key in Training.model_fields if key not in ("epochs", "precision"))


class MethodSettings(Settings):
    """One method: a class, its parameters, and where its training differs from the default."""

    title: str | None = Field(None, description="how tables call it")
    published: Name | None = Field(None, description="its key in config/published.csv; never taken over by `extends`")
    extends: Name | None = Field(None, description="take everything from this method and change what is given here")
    model: str | None = Field(None, pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$", description="package.module:Class")
    parameters: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    choices: dict[str, str] = Field(
        default_factory=dict, description="parameter -> why; what the paper does not say and we chose"
    )
    ranges: dict[str, Range | None] = Field(
        default_factory=dict, description="parameters.<key> or training.<key> -> what `tune` may try; null: nothing"
    )
    tuned: Tuned | None = Field(None, description="written by `tune`: how these values were found")


class EnsembleSettings(Settings):
    """An ensemble: the mean of its members' score matrices. A method that is listed m times gives m models.

    They differ by their training seeds; see `Config.members`.
    """

    title: str | None = Field(None, description="how tables call it; ' (ensemble)' is added")
    published: Name | None = Field(None, description="its key in config/published.csv")
    members: tuple[Name, ...] = Field(min_length=2, description="names of methods; the same twice is two seeds of it")

    @field_validator("members", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value


class Transductive(Settings):
    """The diagnostic of batch-dependent evaluation; the comparison never uses it."""

    batch_size: int | None = Field(None, ge=1, description="pairs that hear each other; the training batch if null")


class Run(Settings):
    """What this experiment runs: every listed dataset x method x seed."""

    datasets: tuple[Name, ...] = Field(min_length=1)
    methods: tuple[Name, ...] = Field(min_length=1)
    controls: tuple[Literal["random", "oracle", "truth"], ...] = ("random", "oracle")
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1)
    reference: Name = Field("vsepp", description="the method that differences are taken against")

    @field_validator("datasets", "methods", "controls", "seeds", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        if isinstance(value, list):
            if len(set(map(str, value))) != len(value):
                raise ValueError("an entry is listed twice")
            return tuple(value)
        return value


class Factorial(Settings):
    """A two-level factorial: every combination of parts that are on or off is one method."""

    factors: dict[Name, str] = Field(min_length=2, max_length=4, description="part -> how tables call it")
    cells: dict[Name, tuple[Name, ...]] = Field(description="method -> the parts that are on in it")

    @field_validator("cells", mode="before")
    @classmethod
    def _as_tuples(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
        return value

    @model_validator(mode="after")
    def _every_combination_once(self) -> Factorial:
        owner: dict[frozenset[str], str] = {}
        for method, parts in self.cells.items():
            if unknown := [part for part in parts if part not in self.factors]:
                raise ValueError(f"cells.{method} names {unknown[0]!r}, which is not among factors; correct it")
            if (first := owner.setdefault(frozenset(parts), method)) != method:
                raise ValueError(f"cells.{first} and cells.{method} have the same parts on; remove one")
        orders = range(len(self.factors) + 1)
        combinations = [on for order in orders for on in itertools.combinations(self.factors, order)]
        if absent := [" + ".join(on) or "every part off" for on in combinations if frozenset(on) not in owner]:
            raise ValueError(f"cells has no method with {'; '.join(absent)}; name one for each combination of parts")
        return self


class Config(Settings):
    """The configuration of one experiment."""

    experiment: Name = Field(description="names the report's folder")
    title: str = ""
    pathvars: dict[Folder, str] = Field(default_factory=dict, description="where Snakemake puts things")
    run: Run
    datasets: dict[Name, DatasetSettings]
    training: Training = Training()
    tuning: Tuning = Tuning()
    methods: dict[Name, MethodSettings]
    ensembles: dict[Name, EnsembleSettings] = Field(default_factory=dict, description="may stand in run.methods")
    factorial: Factorial | None = Field(None, description="main effects and interactions of parts, from their methods")
    transductive: Transductive = Transductive()
    device: Literal["cpu", "cuda"] = Field("cpu", description="where training and scoring happen")
    threads: int = Field(1, ge=1, description="CPU threads of one trainer; part of what makes a run repeatable")
    memory_mb: int = Field(512, ge=16, description="memory for scores that are held during ranking")

    @model_validator(mode="after")
    def _references(self) -> Config:
        check_shared(self.tuning.ranges, TUNED_TRAINING)
        for kind, names, known in (
            ("run.datasets", self.run.datasets, self.datasets),
            ("run.methods", self.run.methods, {**self.methods, **self.ensembles}),
            ("factorial.cells", self.factorial.cells if self.factorial else (), self.methods),
        ):
            for name in names:
                if name not in known:
                    raise ValueError(
                        f"{kind} names {name!r}, which is not defined; known are {', '.join(sorted(known))}"
                    )
        if self.run.reference not in self.run.methods:
            raise ValueError(
                f"run.reference names {self.run.reference!r}, which is not among run.methods; name one of them"
            )
        for name in self.methods:
            if name in CONTROLS:
                raise ValueError(f"methods.{name}: this name belongs to a control; choose another")
            try:
                self.training_of(name)
                self.ranges_of(name)
            except LgsfError as error:
                raise ValueError(str(error).removesuffix(".")) from None
        for name in self.ensembles:
            self._check_ensemble(name)
        return self

    def _check_ensemble(self, name: str) -> None:
        if name in CONTROLS or name in self.methods:
            owner = "a control" if name in CONTROLS else "a method"
            raise ValueError(f"ensembles.{name}: this name belongs to {owner}; choose another")
        for member in self.ensembles[name].members:
            if member in self.ensembles:
                raise ValueError(
                    f"ensembles.{name}.members names {member!r}, which is itself an ensemble; list its members instead"
                )
            if member not in self.methods:
                known = ", ".join(sorted(self.methods))
                raise ValueError(f"ensembles.{name}.members names {member!r}, which is not a method; known are {known}")

    @classmethod
    def parse(cls, raw: Mapping[str, Any], *, source: str = "the configuration") -> Config:
        """Check a plain mapping; every problem becomes one sentence.

        Raises LgsfError naming the key, what is wrong and what is allowed.
        """
        try:
            return cls.model_validate(_tuples(raw))
        except ValidationError as error:
            raise LgsfError(f"{source}: {explain(error)}") from None

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
        return (self.ensembles[name] if name in self.ensembles else self.methods[name]).published

    def title_of(self, name: str) -> str:
        """How tables call a method or an ensemble."""
        if name in self.ensembles:
            return ensemble_title(self.ensembles[name].title or name)
        return self.method(name).title or name

    def training_of(self, name: str) -> Training:
        """The default training with the method's own values on top."""
        try:
            return Training.model_validate(_tuples(deep_merge(self.training.model_dump(), self.method(name).training)))
        except ValidationError as error:
            raise LgsfError(f"methods.{name}.training: {explain(error)}") from None

    def run_settings(self, dataset: str, method: str) -> dict[str, Any]:
        """What one method's runs on one dataset depend on, as plain JSON: the input of `lgsf configure`."""
        settings = self.method(method)
        return {
            "schema_version": CONFIG_SCHEMA_VERSION,
            "dataset": dataset,
            "method": method,
            "title": settings.title or method,
            "model": settings.model,
            "parameters": settings.parameters,
            "choices": settings.choices,
            "training": self.training_of(method).model_dump(mode="json"),
            "device": self.device,
            "threads": self.threads,
            **({"tuned": settings.tuned.model_dump(mode="json")} if settings.tuned else {}),
        }

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
            "settings": self.run_settings(dataset, method),
            "lineage": self.lineage(method),
            "budget": self.tuning.model_dump(mode="json", exclude={"ranges"}),
            "shared": sorted(self.tuning.ranges),
            "ranges": {path: range_.model_dump(mode="json", exclude_defaults=True) for path, range_ in ranges.items()},
        }


def ensemble_title(title: str) -> str:
    """The title with the mark that every ensemble carries wherever it is shown."""
    return title if title.endswith(ENSEMBLE_MARK) else title + ENSEMBLE_MARK


def _tuples(value: Any) -> Any:
    """Plain dicts all the way down (Snakemake hands over its own mapping types)."""
    if isinstance(value, Mapping):
        return {k: _tuples(v) for k, v in value.items()}
    return value


def deep_merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` on top of `base`; mappings merge, everything else replaces."""
    out = dict(base)
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(out.get(key), Mapping):
            out[key] = deep_merge(out[key], value)
        else:
            out[key] = value
    return out


def _where(location: tuple[int | str, ...]) -> str:
    """Dotted place of a problem, without the tag that a choice between sources adds to it."""
    parts = list(location)
    if parts[:1] == ["datasets"] and len(parts) > 2:
        del parts[2]
    elif parts[:1] in (["scenes"], ["precomp"]):
        del parts[0]
    return ".".join(str(p) for p in parts if p != "[key]") or "top level"


def explain(error: ValidationError) -> str:
    """One sentence for the first problem of a validation error, with a count of the others."""
    problems = error.errors()
    first = problems[0]
    where = _where(first["loc"])
    given = first.get("input")
    if first["type"] == "extra_forbidden":
        text = f"unknown key '{where}'; check its spelling or remove it"
    elif first["type"] == "missing":
        text = f"key '{where}' is missing; add it"
    elif first["type"] == "value_error":
        text = f"{where}: {first['ctx']['error']!s}" if where != "top level" else str(first["ctx"]["error"])
        if isinstance(given, str):
            text += f", not {given!r}"
    else:
        text = f"{where}: {first['msg'][0].lower()}{first['msg'][1:]}, not {given!r}"
    if len(problems) > 1:
        text += f" (and {len(problems) - 1} more)"
    return text + "."
