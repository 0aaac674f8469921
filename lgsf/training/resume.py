"""What survives a kill: the resume state beside a run."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import torch

from lgsf.system.artefacts.atomic import write_atomically
from lgsf.system.artefacts.seal import check_sealed, seal_archive

logger = logging.getLogger(__name__)


class ResumeState:
    """The state of an unfinished run, in `<run>/.resume`: one file, replaced whole at the end of each epoch.

    Snakemake removes a rule's declared outputs before it starts and after it fails; this folder is not
    declared and stays. It is deleted when the run is published.
    """

    def __init__(self, run: Path, key: str) -> None:
        self.folder = run / ".resume"
        self.path = self.folder / "state.pt"
        self.key = key

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the state; after a kill or on a full disk the former one is still whole."""
        write_atomically(self.path, lambda file: _write({"key": self.key, **state}, file))

    def load(self) -> dict[str, Any] | None:
        """The saved state if it belongs to this very run, else None (and the log says why)."""
        if not self.path.is_file():
            return None
        try:
            with self.path.open("rb") as file:
                check_sealed(file)
            state: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch names many kinds of broken files by many exceptions
            logger.warning(
                "%s cannot be read (%s): this run starts from the beginning",
                self.path,
                str(error) or type(error).__name__,
            )
            return None
        if state.pop("key", None) != self.key:
            logger.warning("%s belongs to other settings, data or code: this run starts from the beginning", self.path)
            return None
        return state

    def clear(self) -> None:
        """Forget the state."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _write(state: Mapping[str, Any], file: IO[bytes]) -> None:
    """A sealed zip archive of torch."""
    torch.save(state, file)
    seal_archive(file)


def rng_state(device: torch.device) -> dict[str, torch.Tensor]:
    """torch's generators; batches and augmentation have counters of their own and need no state."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_rng_state(state: Mapping[str, torch.Tensor], device: torch.device) -> None:
    """Undo of `rng_state`."""
    torch.set_rng_state(state["cpu"].cpu())
    if "cuda" in state and device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)
