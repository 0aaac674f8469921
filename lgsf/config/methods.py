"""Methods and ensembles as the configuration names them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from lgsf.config.tuned import Tuned
from lgsf.config.tuning import Range
from lgsf.system.settings import ListOf, Name, Settings, Title


class MethodSettings(Settings):
    """One method: a class, its parameters, and where its training differs from the default."""

    title: Title | None = Field(None, description="how tables call it")
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

    title: Title | None = Field(None, description="how tables call it; ' (ensemble)' is added")
    published: Name | None = Field(None, description="its key in config/published.csv")
    members: ListOf[Name] = Field(min_length=2, description="names of methods; the same twice is two seeds of it")


def named_files(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Key -> path of the files that any method's parameters may name: word vectors, and the folder of a BERT."""
    text = parameters.get("text")
    found = {
        "word_vectors": parameters.get("word_vectors"),
        "text.path": text.get("path") if isinstance(text, Mapping) else None,
    }
    return {key: path for key, path in found.items() if isinstance(path, str)}
