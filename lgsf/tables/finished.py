"""Finished runs under a results folder for one step: where they lie, and their ranks, each file read once."""

from __future__ import annotations

from pathlib import Path

from lgsf.runs.ranks import Ranks, read_ranks


class Finished:
    """Ranks stay in memory as long as this does, about 16 bytes for each query of a run."""

    def __init__(self, results: Path) -> None:
        self.results = results
        self._ranks: dict[Path, Ranks] = {}

    def folder(self, dataset: str, method: str, seed: int) -> Path:
        return self.results / dataset / method / f"seed{seed}"

    def ranks(self, dataset: str, method: str, seed: int) -> Ranks:
        """The ranks of the test split; LgsfError as of lgsf.runs.ranks.read_ranks."""
        folder = self.folder(dataset, method, seed)
        if folder not in self._ranks:
            self._ranks[folder] = read_ranks(folder)
        return self._ranks[folder]
