"""From a run's settings to a model: find the class, check its parameters, build it."""

from __future__ import annotations

import importlib
import os
import threading
import traceback
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from lgsf.config.run_settings import MOST_THREADS, RunSettings
from lgsf.data.layout import Dataset
from lgsf.models.base import DataSpec, Method, Parameters
from lgsf.models.pretrained import Pretrained
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_json
from lgsf.system.settings import explain


def check_settings(raw: Any, *, source: str) -> RunSettings:
    """The settings of one method with all defaults filled in, those of its class too.

    Raises LgsfError when a key is unknown, the class cannot be imported or a parameter does not fit.
    """
    try:
        settings = RunSettings.model_validate(raw)
    except ValidationError as error:
        raise LgsfError(f"{source}: {explain(error).removesuffix('.')}: run the configure step again.") from None
    parameters = parameters_of(settings, source=source)
    return settings.model_copy(update={"parameters": parameters.model_dump(mode="json")})


def read_settings(path: Path) -> RunSettings:
    """A checked config.json as the configure step writes it."""
    return check_settings(read_json(path, hint="run the configure step first"), source=str(path))


def parameters_of(settings: RunSettings, *, source: str) -> Parameters:
    """The parameters section as the method's own model."""
    try:
        return method_class(settings.model, source=source).Parameters.model_validate(settings.parameters)
    except ValidationError as error:
        raise LgsfError(f"{source}: parameters of method {settings.method!r}: {explain(error)}") from None


def method_class(spec: str, *, source: str) -> type[Method]:
    """The class named `package.module:Class`; any importable subclass of lgsf.models.base.Method will do."""
    module_name, _, class_name = spec.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except ModuleNotFoundError as error:
        raise LgsfError(f"{source}: model {spec!r} cannot be imported ({error}); check its spelling.") from None
    except AttributeError as error:
        if error.name != class_name:
            raise _broken_module(spec, error, source) from error
        raise LgsfError(f"{source}: module {module_name!r} has no class {class_name!r}; check its spelling.") from None
    except LgsfError:
        raise
    except (Exception, SystemExit) as error:
        raise _broken_module(spec, error, source) from error
    if not (isinstance(found, type) and issubclass(found, Method)):
        raise LgsfError(f"{source}: {spec!r} is not a subclass of lgsf.models.base.Method; make it one.")
    return found


def _broken_module(spec: str, error: BaseException, source: str) -> LgsfError:
    """The sentence for a module that fails while it is imported, with the file and line of the last step."""
    if isinstance(error, SyntaxError):
        place = f"{error.filename}, line {error.lineno}"
    else:
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{frames[-1].filename}, line {frames[-1].lineno}"
    reason = " ".join(str(error).split())[:200]
    return LgsfError(
        f"{source}: model {spec!r} cannot be imported ({type(error).__name__} in {place}: {reason}); mend the code there."
    )


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
    settings: RunSettings,
    dataset: Dataset,
    *,
    vocabulary_size: int | None = None,
    pretrained: Pretrained | None = None,
) -> Method:
    """A freshly initialised model; torch's global generator decides its weights, where `pretrained` does not."""
    source = f"the settings of {settings.method}"  # checked before: by check_settings, which names the file
    options = parameters_of(settings, source=source)
    spec = data_spec(dataset, vocabulary_size=vocabulary_size, pretrained=pretrained)
    return method_class(settings.model, source=source)(options, spec)


def make_repeatable(device: torch.device, threads: int) -> None:
    """Fix what changes the last bits of a sum: the number of CPU threads, and the choice of GPU kernels.

    CPU kernels repeat themselves with a fixed number of threads. torch.use_deterministic_algorithms loads the compiler,
    a second of every start, to switch off nothing; the debug mode sets the same flag without it.

    Raises LgsfError where the machine does not give as many threads: OpenMP would end the process.
    """
    _check_threads(threads)
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("error" if device.type == "cuda" else "default")
    # What is left uninitialised is always written before it is read: filling it first would double the launches.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.allow_tf32 = False  # float32 means float32 (lgsf.training.precision says where it does not)


def _check_threads(threads: int) -> None:
    if not 1 <= threads <= MOST_THREADS:
        raise LgsfError(f"threads: {threads} is not between 1 and {MOST_THREADS}; lower it in the configuration.")
    if threads <= (os.cpu_count() or 1):
        return
    stop = threading.Event()
    held: list[threading.Thread] = []
    try:
        for _ in range(threads - 1):
            held.append(threading.Thread(target=stop.wait))
            held[-1].start()
    except RuntimeError:
        started = len(held)
        raise LgsfError(
            f"threads: {threads} are asked for and this machine gave {started}; lower threads in the configuration."
        ) from None
    finally:
        stop.set()
        for thread in held:
            if thread.ident is not None:
                thread.join()
