"""Downloads in the workflow: none unless a configuration names them, then before the dataset that needs them."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.support.packs import write_pack
from tests.support.server import serving
from tests.workflow.conftest import Overlay, Tree

MANIFEST = "resources/smoke/mine/dataset.json"


def _archive(folder: Path) -> bytes:
    """A zip of a small pack."""
    pack = write_pack(folder / "pack")
    with zipfile.ZipFile(folder / "pack.zip", "w") as archive:
        for file in pack.iterdir():
            archive.write(file, file.name)
    return (folder / "pack.zip").read_bytes()


def _config(content: bytes, url: str, folder: Path, *, offline: bool = False) -> str:
    """A dataset whose pack comes from `url`."""
    dataset = {
        "source": "precomp", "path": str(folder / "out"), "captions_per_image": 2, "min_count": 1, "needs": ["pack"],
    }  # fmt: skip
    download = {
        "urls": [url], "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content), "licence": "CC0",
        "path": str(folder / "fetched.zip"), "unpack": {"folder": str(folder / "out"), "most_bytes": 100_000},
    }  # fmt: skip
    config = {"datasets": {"mine": dataset}, "downloads": {"pack": download}, "offline": offline}
    return yaml.safe_dump({**config, "run": {"datasets": ["mine"]}})


def test_a_dataset_that_needs_a_download_waits_for_it(tree: Tree, overlay: Overlay, tmp_path: Path) -> None:
    options = overlay(_config(b"", "http://127.0.0.1:9/x", tmp_path).replace("bytes: 0", "bytes: 1"))
    outcome = tree.plan(MANIFEST, *options)
    assert outcome.jobs == {"fetch": 1, "prepare": 1}


@pytest.mark.slow
def test_from_a_server_to_a_dataset(tree: Tree, overlay: Overlay, tmp_path: Path) -> None:
    """Offline it says what to put where; online it asks once; a lost record asks nobody again."""
    content = _archive(tmp_path)
    with serving(content) as server:
        outcome = tree.snakemake(
            MANIFEST, "--cores", "1", *overlay(_config(content, server.url, tmp_path, offline=True))
        )
        assert outcome.code == 1 and "Traceback" not in outcome.text
        assert f"put it at {tmp_path / 'fetched.zip'} and run again" in " ".join(outcome.text.split())
        assert server.seen == []
        options = (MANIFEST, "--cores", "1", *overlay(_config(content, server.url, tmp_path)))
        outcome = tree.snakemake(*options)
        assert outcome.code == 0, outcome.text
        assert json.loads((tree.root / MANIFEST).read_text())["splits"]["train"]["images"] == 7
        assert "Nothing to be done" in tree.snakemake(*options).text
        (tree.root / "resources/smoke/downloads/pack.json").unlink()
        assert tree.snakemake(*options).code == 0
        assert server.seen == [None]
