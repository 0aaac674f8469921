"""Weights of a run: those that are deployed, and those that only training used."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import IO

import safetensors.torch
import torch

from lgsf.models.base import Method
from lgsf.system.errors import LgsfError
from lgsf.system.files import write_atomically


def split_weights(method: Method) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """(deployed, training-only) tensors of a method, on the CPU."""
    deployed: dict[str, torch.Tensor] = {}
    training: dict[str, torch.Tensor] = {}
    for name, tensor in method.state_dict().items():
        target = training if name.split(".")[0] in method.training_only else deployed
        target[name] = tensor.detach().cpu().contiguous()
    return deployed, training


def save_weights(run: Path, deployed: Mapping[str, torch.Tensor], training: Mapping[str, torch.Tensor] | None) -> None:
    """Write both weight files; None writes no file of what only training uses: it is not known."""
    for name, tensors in (("model", deployed), ("training_only", training)):
        if tensors is not None:
            write_atomically(run / f"{name}.safetensors", partial(_write, safetensors.torch.save(dict(tensors))))


def _write(data: bytes, file: IO[bytes]) -> None:
    file.write(data)


def load_weights(method: Method, run: Path, *, training_only: bool = False) -> None:
    """Fill a method from a run; without `training_only` its training modules keep their fresh weights."""
    path = run / "model.safetensors"
    try:
        tensors = safetensors.torch.load_file(path)
        if training_only:
            tensors |= safetensors.torch.load_file(run / "training_only.safetensors")
    except FileNotFoundError as error:
        raise LgsfError(f"{error.filename or path} is missing: train this run first.") from None
    except safetensors.SafetensorError as error:
        raise LgsfError(f"{path} is not a readable weight file ({error}): train this run again.") from None
    missing, unexpected = method.load_state_dict(tensors, strict=False)
    missing = [name for name in missing if name.split(".")[0] not in method.training_only]
    if missing or unexpected:
        raise LgsfError(f"{path} does not fit its config ({[*missing, *unexpected][0]!r}): train this run again.")
