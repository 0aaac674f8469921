"""Where a method's pretrained models and word vectors lie: names from the configuration to files.

Without torch: the workflow declares these files as inputs, and its dry run must not wait for torch.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lgsf.system.errors import LgsfError
from lgsf.system.given import given_path

PACKAGE = "package:"
# What a run of a BERT depends on; weights in any other format are not read.
BERT_FILES = (
    "config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.txt", "model.safetensors.index.json", "*.safetensors",
)  # fmt: skip
# The same of a vision model, and of a dual encoder with its tokenizer.
VISION_FILES = (
    "config.json", "preprocessor_config.json", "processor_config.json", "model.safetensors.index.json", "*.safetensors"
)  # fmt: skip
DUAL_FILES = tuple(dict.fromkeys((*VISION_FILES, *BERT_FILES, "vocab.json", "merges.txt", "*.model")))
TIMM = "timm:"  # in front of the name of one of timm's models


def bert_name(parameters: Mapping[str, Any]) -> str | None:
    """What `text: {kind: bert, path: ...}` names, or None."""
    text = parameters.get("text")
    if isinstance(text, Mapping) and text.get("kind") == "bert" and text.get("path"):
        return str(text["path"])
    return None


def word_vectors_name(parameters: Mapping[str, Any]) -> str | None:
    """What `word_vectors: ...` names, or None."""
    name = parameters.get("word_vectors")
    return name if isinstance(name, str) else None


def locate(name: str) -> Path:
    """The path that `name` means; package:NAME/FOLDER lies in an installed package, which is not imported.

    Raises LgsfError where that package is not installed. The path itself may not exist.
    """
    if not name.startswith(PACKAGE):
        return given_path(name)
    package, _, inside = name.removeprefix(PACKAGE).partition("/")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise LgsfError(f"{name!r} names a package that is not installed: install {package}, or give a path.")
    return Path(next(iter(spec.submodule_search_locations)), inside)


def bert_files(folder: Path) -> list[Path]:
    """The files of a BERT's folder that count, sorted."""
    return matching_files(folder, BERT_FILES)


def matching_files(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """The files of a folder that fit one of the patterns, sorted, each once."""
    return sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})


def model_files(name: str, patterns: Sequence[str]) -> list[Path]:
    """Those files of a vision model or dual encoder that are on this machine under `name`, for the workflow to watch."""
    try:
        return matching_files(locate(name.removeprefix(TIMM)), patterns)
    except LgsfError:  # the job says so
        return []


def vector_files(path: Path) -> list[Path]:
    """The files that hold word vectors: one text file, or the two of a folder with an index and an array."""
    return sorted([*path.glob("*_index.parquet"), *path.glob("*_emb.npy")]) if path.is_dir() else [path]


def local_files(parameters: Mapping[str, Any]) -> list[Path]:
    """The files that a method's parameters name and that are on this machine, for the workflow to watch."""
    found: list[Path] = []
    for name, files in ((bert_name(parameters), bert_files), (word_vectors_name(parameters), vector_files)):
        if name is not None:
            try:
                found += [path for path in files(locate(name)) if path.is_file()]
            except LgsfError:  # the training says so
                continue
    return found
