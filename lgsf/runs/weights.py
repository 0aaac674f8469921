"""Weights of a run: those that are deployed, and those that only training used."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch

from lgsf.models.base import Method
from lgsf.runs.origin import WEIGHTS, check_file
from lgsf.runs.record import RunRecord
from lgsf.system.errors import LgsfError
from lgsf.system.files import write_bytes

TRAINING_ONLY = "training_only.safetensors"


def split_weights(method: Method) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """(deployed, training-only) tensors of a method, on the CPU."""
    deployed: dict[str, torch.Tensor] = {}
    training: dict[str, torch.Tensor] = {}
    for name, tensor in method.state_dict().items():
        target = training if name.split(".")[0] in method.training_only else deployed
        target[name] = tensor.detach().cpu().contiguous()
    return deployed, training


def save_weights(
    run: Path, deployed: Mapping[str, torch.Tensor], training: Mapping[str, torch.Tensor] | None
) -> dict[str, str]:
    """Write both weight files; None writes no file of what only training uses: it is not known.

    Returns the sha256 of each file by its name, for the record.
    """
    digests = {}
    for name, tensors in ((WEIGHTS, deployed), (TRAINING_ONLY, training)):
        if tensors is not None:
            data = safetensors.torch.save(dict(tensors))
            write_bytes(run / name, data)
            digests[name] = hashlib.sha256(data).hexdigest()
    return digests


def load_weights(method: Method, run: Path, record: RunRecord, *, training_only: bool = False) -> dict[str, str]:
    """Fill a method from a run; without `training_only` its training modules keep their fresh weights.

    Returns the sha256 of each file that was read, by its name. Raises LgsfError where a file is not the one that the
    record names, or does not fit the method.
    """
    names = (WEIGHTS, TRAINING_ONLY) if training_only else (WEIGHTS,)
    path, digests = run / WEIGHTS, dict[str, str]()
    tensors: dict[str, torch.Tensor] = {}
    for name in names:
        digests[name] = check_file(run, record, name)
        try:
            tensors |= safetensors.torch.load_file(run / name)
        except Exception as error:  # SafetensorError, or whatever torch says of a header that is damaged
            raise LgsfError(f"{run / name} is not a readable weight file ({error}): train this run again.") from None
    try:
        missing, unexpected = method.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise LgsfError(f"{path} does not fit its config ({reason}): train this run again.") from None
    missing = [name for name in missing if name.split(".")[0] not in method.training_only]
    if missing or unexpected:
        raise LgsfError(f"{path} does not fit its config ({[*missing, *unexpected][0]!r}): train this run again.")
    return digests
