"""The device that a stage works on, and what to say where it is not there."""

from __future__ import annotations

import logging

import torch

from lgsf.system.errors import LgsfError

logger = logging.getLogger(__name__)


def required(name: str, *, source: str) -> torch.device:
    """The device `name` that `source` asks for; LgsfError where this machine has none."""
    if name == "cuda" and (reason := _no_gpu()):
        raise LgsfError(f"{source} asks for device 'cuda' and {reason}; or set device: cpu.")
    return torch.device(name)


def preferred(name: str, *, what: str) -> torch.device:
    """The device `name` that `what` was made on, or the CPU where this machine has none: weights do not mind."""
    if name == "cuda" and (reason := _no_gpu()):
        logger.info("%s was made on a GPU and is worked on here by the CPU, since %s", what, reason)
        return torch.device("cpu")
    return torch.device(name)


def _no_gpu() -> str | None:
    """Why torch cannot use a GPU and what to do about it; None where it can."""
    if torch.cuda.is_available():
        return None
    if torch.version.cuda is None:
        return "this torch is built for CPUs: install the build for CUDA"
    return "torch finds no GPU: run where one is, or mend the driver"
