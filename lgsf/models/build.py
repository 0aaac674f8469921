"""From a run's settings to a model: find the class, check its parameters, build it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from lgsf.config.run_settings import CONFIG_SCHEMA_VERSION, Training
from lgsf.data.layout import Dataset
from lgsf.models.base import DataSpec, Method, Parameters
from lgsf.models.pretrained import Pretrained
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_json
from lgsf.system.settings import explain

RUN_KEYS = {
    "schema_version", "dataset", "method", "title", "model", "parameters", "choices", "training", "device", "threads"
}  # fmt: skip
OPTIONAL_KEYS = {"tuned"}  # only what was tuned has it, so that everything else keeps its hash


def check_settings(settings: Mapping[str, Any], *, source: str) -> dict[str, Any]:
    """The settings of one method with all defaults filled in.

    Raises LgsfError when a key is unknown, the class cannot be imported or a parameter does not fit.
    """
    if set(settings) - OPTIONAL_KEYS != RUN_KEYS:
        wrong = sorted((set(settings) - OPTIONAL_KEYS) ^ RUN_KEYS)
        raise LgsfError(
            f"{source}: the keys {', '.join(wrong)} are missing or unknown; make it with the configure step."
        )
    if settings["schema_version"] != CONFIG_SCHEMA_VERSION:
        raise LgsfError(f"{source} has schema version {settings['schema_version']!r}; run the configure step again.")
    training = training_of(settings, source=source)
    parameters = parameters_of(settings, source=source)
    return {**settings, "training": training.model_dump(mode="json"), "parameters": parameters.model_dump(mode="json")}


def read_settings(path: Path) -> dict[str, Any]:
    """A checked config.json as the configure step writes it."""
    return check_settings(read_json(path, hint="run the configure step first"), source=str(path))


def training_of(settings: Mapping[str, Any], *, source: str) -> Training:
    """The training section as a model."""
    try:
        return Training.model_validate(settings["training"])
    except ValidationError as error:
        raise LgsfError(f"{source}: training: {explain(error)}") from None


def parameters_of(settings: Mapping[str, Any], *, source: str) -> Parameters:
    """The parameters section as the method's own model."""
    try:
        return method_class(settings["model"], source=source).Parameters.model_validate(settings["parameters"])
    except ValidationError as error:
        raise LgsfError(f"{source}: parameters of method {settings['method']!r}: {explain(error)}") from None


def method_class(spec: str, *, source: str) -> type[Method]:
    """The class named `package.module:Class`; any importable subclass of lgsf.models.base.Method will do."""
    module_name, _, class_name = spec.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except ModuleNotFoundError as error:
        raise LgsfError(f"{source}: model {spec!r} cannot be imported ({error}); check its spelling.") from None
    except AttributeError:
        raise LgsfError(f"{source}: module {module_name!r} has no class {class_name!r}; check its spelling.") from None
    if not (isinstance(found, type) and issubclass(found, Method)):
        raise LgsfError(f"{source}: {spec!r} is not a subclass of lgsf.models.base.Method; make it one.")
    return found


def data_spec(
    dataset: Dataset, *, vocabulary_size: int | None = None, pretrained: Pretrained | None = None
) -> DataSpec:
    """What a model must know of a dataset; `vocabulary_size` where it brings words of its own."""
    train = dataset.manifest["splits"]["train"]
    return DataSpec(
        region_dim=train["region_dim"],
        vocabulary_size=dataset.manifest["vocabulary"]["size"] if vocabulary_size is None else vocabulary_size,
        has_boxes="boxes.npy" in train["sha256"],
        pretrained=pretrained or Pretrained(),
    )


def build_method(
    settings: Mapping[str, Any],
    dataset: Dataset,
    *,
    source: str,
    vocabulary_size: int | None = None,
    pretrained: Pretrained | None = None,
) -> Method:
    """A freshly initialised model; torch's global generator decides its weights, where `pretrained` does not."""
    options = parameters_of(settings, source=source)
    spec = data_spec(dataset, vocabulary_size=vocabulary_size, pretrained=pretrained)
    return method_class(settings["model"], source=source)(options, spec)


def make_repeatable(device: torch.device, threads: int) -> None:
    """Fix what changes the last bits of a sum: the number of CPU threads, and the choice of GPU kernels.

    CPU kernels repeat themselves with a fixed number of threads; asking torch to enforce that as well
    would load its compiler, a second of every start.
    """
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(device.type == "cuda")
