"""What a plan needs and this machine lacks, each in a sentence with the remedy; asked before anything starts.

Without torch: the workflow asks while it plans. A name that may be one of the Hugging Face hub is left to the job,
which asks there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lgsf.config.study import Study
from lgsf.pretrained.files import PACKAGE, TIMM, bert_name, locate, word_vectors_name
from lgsf.pretrained.hub import HUB_NAME
from lgsf.system.errors import LgsfError


@dataclass(frozen=True)
class Absent:
    """A path that is not there, and a sentence that says so."""

    path: str
    sentence: str


def of_source(study: Study, dataset: str) -> Absent | None:
    """The first file or folder that a dataset is made from and that is not there."""
    missing = [path for path in study.required_files(dataset) if not Path(path).exists()]
    if not missing:
        return None
    first, others = missing[0], len(missing) - 1
    folder = Path(first).parent
    what = first if folder.is_dir() or folder == Path() else f"the folder {folder}"
    more = f" (with {others + 1} files)" if what != first else f" (and {others} more)" if others else ""
    return Absent(
        first, f"datasets.{dataset}: {what} is missing{more}: put it there, or name its place in the configuration."
    )


def of_method(study: Study, method: str) -> Absent | None:
    """The BERT or the word vectors that a method starts from."""
    parameters = study.config.method(method).parameters
    named = ((bert_name(parameters), "text.path"), (word_vectors_name(parameters), "word_vectors"))
    found = (
        _of_name(name, f"methods.{method}.parameters.{key}", hub=key == "text.path") for name, key in named if name
    )
    return next((absent for absent in found if absent is not None), None)


def of_extraction(study: Study, dataset: str) -> Absent | None:
    """The model that features are extracted with."""
    name = study.config.datasets[dataset].extract.model  # type: ignore[union-attr]
    return _of_name(name, f"datasets.{dataset}.extract.model")


def of_zero_shot(study: Study, name: str, dataset: str) -> Absent | None:
    """The dual encoder, or the folder of the photos that it reads."""
    photos = study.config.datasets[dataset].pictures
    if photos and not Path(photos).is_dir():
        remedy = "put the photos there, or name their place in the configuration"
        return Absent(photos, f"datasets.{dataset}.images: the folder {photos} is missing: {remedy}.")
    return _of_name(study.config.zero_shot[name].model, f"zero_shot.{name}.model")


def of_import(study: Study, name: str, seed: int) -> Absent | None:
    """The first file that one seed of an import is made from."""
    settings = study.imported(name, seed)
    found = _first(settings.files(), f"imports.{name}")
    bert = getattr(settings, "bert", None)
    return found or (_of_name(bert, f"imports.{name}.bert") if bert else None)


def _first(files: Iterable[tuple[str, str]], where: str) -> Absent | None:
    for key, path in files:
        if not Path(path).is_file():
            return Absent(path, f"{where}.{key}: {path} is missing: put it there, or change the path.")
    return None


def _of_name(name: str, key: str, *, hub: bool = True) -> Absent | None:
    """A model's folder or a file of vectors, as the configuration names it."""
    plain = name.removeprefix(TIMM)
    try:
        path = locate(plain)
    except LgsfError as error:
        return Absent(name, f"{key}: {error}")
    if path.exists() or (hub and not plain.startswith(PACKAGE) and HUB_NAME.fullmatch(plain)):
        return None
    return Absent(str(path), f"{key}: {path} is missing: put it there, or name its place in the configuration.")
