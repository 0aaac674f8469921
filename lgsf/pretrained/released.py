"""A checkpoint as authors release it: weights and options, read without running anything that the file names.

The files of this field hold torch.save({"model": [img_enc.state_dict(), txt_enc.state_dict(), ...], "opt":
argparse.Namespace, "epoch", "best_rsum", "Eiters"}), in torch's zip format or in the older one. torch reads
them itself with `weights_only`; beside tensors only argparse.Namespace and numpy's numbers are allowed, and a
file that names anything else is refused. The vocabulary is a JSON file of its own.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from lgsf.data.text import Vocabulary
from lgsf.pretrained.untrusted import (
    check_size,
    check_total,
    plain_options,
    plain_weight,
    read_untrusted,
    stored_number,
)
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_json
from lgsf.system.hashes import sha256
from lgsf.system.names import shown

PARTS = ("img_enc", "txt_enc", "sim_enc")
_REQUIRED: Any = object()


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
                f"{self.path} was trained with {name} = {shown(value)}, and our rebuild of the method knows {known} alone: "
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
                f"{self.path}: its options say {option} = {shown(self.options[option])} and its weights {size}: "
                "the file is mixed from two models; get it from its authors again."
            )
        return size

    def refuse(self, prefix: str, why: str) -> None:
        """LgsfError that ends with `why` if there are weights under this prefix."""
        if any(name.startswith(prefix) for name in self.weights):
            raise LgsfError(f"{self.path} holds {prefix}*: {why}.")

    def number(self, name: str) -> float:
        """An option that is a finite number."""
        value = self.option(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise LgsfError(f"{self.path}: its option {name} is {shown(value)} and must be a number; check the file.")
        return float(value)

    def count(self, name: str) -> int:
        """An option that is a whole number of at least one."""
        value = self.number(name)
        if value != int(value) or value < 1:
            raise LgsfError(f"{self.path}: its option {name} is {shown(value)} and must be a count; check the file.")
        return int(value)


def read_released(path: Path) -> Released:
    """Open a checkpoint; LgsfError, and nothing of it was run, where it is anything but weights and plain options."""
    content = read_untrusted(path)
    if not isinstance(content, dict) or not isinstance(content.get("opt"), argparse.Namespace):
        raise LgsfError(f"{path} is not a checkpoint with 'model' and 'opt' (argparse.Namespace): check its name.")
    parts = content.get("model")
    if not isinstance(parts, list | tuple) or not 2 <= len(parts) <= len(PARTS):
        raise LgsfError(
            f"{path}: 'model' is not the list [img_enc, txt_enc] or [img_enc, txt_enc, sim_enc] of the field."
        )
    return Released(
        path=path,
        sha256=sha256(path),
        weights=_weights(path, parts),
        options=plain_options(path, vars(content["opt"])),
        epoch=stored_number(path, "epoch", content.get("epoch"), int),
        best_score=stored_number(path, "best_rsum", content.get("best_rsum"), float),
        steps=stored_number(path, "Eiters", content.get("Eiters"), int),
    )


def _weights(path: Path, parts: Sequence[Any]) -> dict[str, Tensor]:
    """The tensors of all parts under the authors' names, each with its part in front."""
    stored: dict[str, Tensor] = {}
    for part, state in zip(PARTS, parts, strict=False):
        if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
            raise LgsfError(f"{path}: the part {part} of 'model' is not a state dict of tensors.")
        for name, tensor in state.items():
            if not isinstance(name, str):
                raise LgsfError(
                    f"{path}: the part {part} of 'model' has a weight whose name is no text; check the file."
                )
            # DataParallel puts "module" in front of the names of what it wraps.
            plain = ".".join([part, *(word for word in name.split(".") if word != "module")])
            if plain in stored:
                raise LgsfError(f"{path}: the weights {shown(plain)} stand there twice; check the file.")
            stored[plain] = tensor
    plain_weights = {}
    for name, tensor in stored.items():
        check_size(path, name, tensor)
    check_total(path, stored)
    for name, tensor in stored.items():
        plain_weights[name] = plain_weight(path, name, tensor)
    return plain_weights


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
