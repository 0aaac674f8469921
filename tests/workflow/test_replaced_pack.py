"""A pack that is replaced by files with older times is another pack: what is in it decides, not when it was written."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import yaml

from tests.support.packs import write_pack
from tests.workflow.conftest import Overlay, Tree

MANIFEST = "resources/smoke/replaced/dataset.json"
CHANCE = "results/smoke/replaced/random/seed0/run.json"  # what is made of it


def test_files_with_old_times_are_seen(tree: Tree, overlay: Overlay, tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "pack")
    dataset = {"source": "precomp", "path": str(pack), "captions_per_image": 2, "min_count": 1}
    options = overlay(yaml.safe_dump({"datasets": {"replaced": dataset}, "run": {"datasets": ["replaced"]}}))
    made = tree.snakemake(MANIFEST, "--cores", "1", *options)
    assert made.code == 0, made.text
    assert not tree.plan(MANIFEST, *options).jobs
    for file in pack.iterdir():
        os.utime(file)
    assert not tree.plan(MANIFEST, *options).jobs  # touched, and the same
    features = pack / "test_ims.npy"
    values = np.load(features)
    np.save(features, values[::-1])  # as large as before
    os.utime(features, (1e9, 1e9))  # as `tar x` puts it in place
    assert tree.plan(MANIFEST, *options).jobs == {"prepare": 1}
    shutil.rmtree(pack)
    gone = tree.plan(CHANCE, *options)
    assert gone.jobs == {"control": 1} and f"{pack} is missing" in gone.text and "is taken as it stands" in gone.text
    others = overlay(
        yaml.safe_dump({"datasets": {"replaced": dataset | {"min_count": 2}}, "run": {"datasets": ["replaced"]}})
    )
    changed = tree.snakemake("--dry-run", CHANCE, *others)
    assert changed.code == 1 and f"Error: datasets.replaced: the folder {pack} is missing" in changed.text
