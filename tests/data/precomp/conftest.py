"""The real pack, prepared once for all tests of one worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from lgsf.data.precomp.prepare import prepare
from tests.support.packs import settings


@pytest.fixture(scope="session")
def flickr8k(shared_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Flickr8k's region pack as a dataset; in blocks of the usual size."""
    root = tmp_path_factory.mktemp("flickr8k") / "out"
    prepare(settings(shared_path / "data/f8k_precomp", captions_per_image=5, min_count=4), name="f8k", root=root)
    return root
