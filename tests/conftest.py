"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Numbers differ in the last digits between thread counts; tests compare bits."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the repository."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_path() -> Path:
    """Folder with real data that is not part of the repository; tests that need it are skipped without it."""
    path = Path(os.environ.get("LGSF_SHARED", REPOSITORY.parent / "shared"))
    if not path.is_dir():
        pytest.skip(f"no shared data at {path}; set LGSF_SHARED")
    return path
