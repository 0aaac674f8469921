"""A checkpoint as authors release it: weights and options, read without running anything that the file names.

The files of this field hold torch.save({"model": [img_enc.state_dict(), txt_enc.state_dict(), ...], "opt":
argparse.Namespace, "epoch", "best_rsum", "Eiters"}), in torch's zip format or in the older one. torch reads
them itself with `weights_only`; beside tensors only argparse.Namespace and numpy's numbers are allowed, and a
file that names anything else is refused. The vocabulary is a JSON file of its own.
"""

from __future__ import annotations

import argparse
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lgsf.data.text import Vocabulary
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_json
from lgsf.system.hashes import sha256

PARTS = ("img_enc", "txt_enc", "sim_enc")
_REQUIRED: Any = object()
_SCALAR = np.float64(0).__reduce__()[0]  # what makes a numpy number of its bytes
_HARMLESS: list[Any] = [
    argparse.Namespace,
    *((_SCALAR, f"numpy.{module}.multiarray.scalar") for module in ("core", "_core")),
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("float64", "float32", "int64", "int32", "bool")),
]


@dataclass(frozen=True)
class Released:
    """What a released checkpoint holds.

    weights     float32 tensors under the authors' names, each with its part in front: img_enc., txt_enc., sim_enc.
    options     the authors' command line
    epoch, best_score, steps   as stored, None where the file does not say
    """

    path: Path
    sha256: str
    weights: Mapping[str, Tensor]
    options: Mapping[str, Any]
    epoch: int | None
    best_score: float | None
    steps: int | None

    def option(self, name: str, default: Any = _REQUIRED) -> Any:
        """An option of the authors' command line; LgsfError where it is absent and has no default."""
        value = self.options.get(name, default)
        if value is _REQUIRED:
            raise LgsfError(f"{self.path} does not say {name!r}, as a checkpoint of this method does; check --method.")
        return value

    def expect(self, name: str, *allowed: Any, default: Any = _REQUIRED) -> Any:
        """An option that must have one of the values that our rebuild knows."""
        value = self.option(name, default)
        if value not in allowed:
            known = " or ".join(map(repr, allowed))
            raise LgsfError(
                f"{self.path} was trained with {name} = {value!r}, and our rebuild of the method knows {known} alone: "
                "its scores could not be repeated, so it is not imported."
            )
        return value

    def size(self, tensor: str, axis: int, option: str | None = None) -> int:
        """The length of an axis of a tensor, which the option of that meaning must not contradict."""
        if tensor not in self.weights or axis >= self.weights[tensor].ndim:
            raise LgsfError(
                f"{self.path} has no weights {tensor!r}, as a checkpoint of this method has; check --method."
            )
        size = self.weights[tensor].shape[axis]
        if option is not None and self.options.get(option, size) != size:
            raise LgsfError(
                f"{self.path}: its options say {option} = {self.options[option]!r} and its weights {size}: "
                "the file is mixed from two models; get it from its authors again."
            )
        return size

    def refuse(self, prefix: str, why: str) -> None:
        """LgsfError that ends with `why` if there are weights under this prefix."""
        if any(name.startswith(prefix) for name in self.weights):
            raise LgsfError(f"{self.path} holds {prefix}*: {why}.")


def read_released(path: Path) -> Released:
    """Open a checkpoint; LgsfError, and nothing of it was run, where it is anything but weights and plain options."""
    content = _load(path)
    if not isinstance(content, dict) or not isinstance(content.get("opt"), argparse.Namespace):
        raise LgsfError(f"{path} is not a checkpoint with 'model' and 'opt' (argparse.Namespace): check its name.")
    parts = content.get("model")
    if not isinstance(parts, list | tuple) or not 2 <= len(parts) <= len(PARTS):
        raise LgsfError(
            f"{path}: 'model' is not the list [img_enc, txt_enc] or [img_enc, txt_enc, sim_enc] of the field."
        )
    weights = {}
    for part, state in zip(PARTS, parts, strict=False):
        if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
            raise LgsfError(f"{path}: the part {part} of 'model' is not a state dict of tensors.")
        for name, tensor in state.items():
            # DataParallel puts "module" in front of the names of what it wraps.
            plain = ".".join([part, *(word for word in str(name).split(".") if word != "module")])
            weights[plain] = tensor.float() if tensor.is_floating_point() else tensor
            if not weights[plain].isfinite().all():
                raise LgsfError(f"{path}: {name!r} holds a value that is not finite: such a model cannot be ranked.")
    return Released(
        path=path,
        sha256=sha256(path),
        weights=weights,
        options=vars(content["opt"]),
        epoch=_number(content.get("epoch"), int),
        best_score=_number(content.get("best_rsum"), float),
        steps=_number(content.get("Eiters"), int),
    )


def _load(path: Path) -> Any:
    if not path.is_file():
        raise LgsfError(f"{path} is missing: check its name.")
    try:
        with torch.serialization.safe_globals(_HARMLESS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the old format
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file may fail anywhere in the reader
        if named := re.search(r"GLOBAL (\S+)", str(error)):
            raise LgsfError(
                f"{path} names {named[1]}, which is neither weights nor plain options; nothing of the file was run, "
                "and it is refused: get it from its authors, or let them save tensors and argparse.Namespace alone."
            ) from None
        reason = str(error).strip().split("\n")[-1].strip()
        raise LgsfError(
            f"{path} cannot be read as torch weights ({type(error).__name__}: {reason[:160]}): copy it again."
        ) from None


def _number(value: Any, kind: type) -> Any:
    """A stored number as plain `kind`, or None."""
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    if not isinstance(value, int | float | np.number) or not np.isfinite(value):
        return None
    return kind(value)


def read_vocabulary(path: Path, *, size: int, mask_word: bool) -> Vocabulary:
    """The authors' JSON {word2idx, idx2word, idx} with its numbers kept: word k belongs to row k of their `size` rows.

    mask_word  the authors' code may have added <mask> behind the words of the file
    """
    if path.suffix in (".pkl", ".pickle"):
        raise LgsfError(
            f"{path} is a pickle, which is never opened here: in the authors' environment write it as JSON with "
            "word2idx, idx2word and idx (serialize_vocab of SCAN does)."
        )
    raw = read_json(path, hint="give the vocabulary that came with the checkpoint")
    try:
        words = [str(raw["idx2word"][str(number)]) for number in range(len(raw["idx2word"]))]
        agrees = raw["word2idx"] == {word: number for number, word in enumerate(words)}
    except (KeyError, TypeError, AttributeError) as error:
        raise LgsfError(f"{path} is not a vocabulary with word2idx and idx2word without gaps ({error!r}).") from None
    if not agrees:
        raise LgsfError(f"{path}: word2idx and idx2word number the words differently; get the file again.")
    if mask_word and len(words) + 1 == size:
        words.append("<mask>")
    if len(words) != size:
        raise LgsfError(f"{path} has {len(words)} words and the checkpoint {size}: it belongs to another checkpoint.")
    try:
        return Vocabulary(words, None)
    except ValueError as error:
        raise LgsfError(f"{path}: {error}; it is not a vocabulary of this field.") from None
