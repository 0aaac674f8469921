"""From photographs to the report by one command: features, trainings, a dual encoder off the shelf, gallery."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from tests.support.photos import photo_settings, write_photos
from tests.workflow.conftest import Outcome, Tree, copy_repository

Models = Callable[[str], Path]
RULES = {
    "extract": 2, "prepare": 1, "configure": 2, "train": 2, "evaluate": 2, "zero_shot": 1, "control": 1, "table": 1,
    "album": 1, "compare": 1, "report": 1,
}  # fmt: skip


def study(name: str, dataset: dict[str, Any], clip: Path) -> str:
    """A configuration of the smoke test's sizes over config.yaml."""
    small = {"embedding_dim": 16, "word_dim": 16}
    parts = {"graph": {"heads": 2, "ff": 16}, "interaction": {"heads": 2, "ff": 16}}
    settings = {
        "experiment": name,
        "title": f"Photographs: {name}",
        "run": {"datasets": [name], "methods": ["lgsf", "vsepp"], "zero_shot": ["clip"], "controls": ["random"],
                "seeds": [0], "reference": "vsepp"},
        "datasets": {name: dataset},
        "zero_shot": {"clip": {"model": str(clip), "title": "Tiny CLIP"}},
        "training": {"batch_size": 32, "epochs": 2, "sum_steps": 4},
        "methods": {"lgsf": {"parameters": small | parts}, "vsepp": {"parameters": small}},
    }  # fmt: skip
    return yaml.safe_dump(settings)


def run(tree: Tree, config: Path, *options: str) -> Outcome:
    return tree.snakemake("--cores", "2", "--configfile", str(config), *options)


def check_report(tree: Tree, name: str) -> str:
    """What the page must show whatever the photos: the rows, the label, and photos with regions."""
    page = (tree.root / f"reports/{name}/index.html").read_text()
    for words in ("LGSF", "VSE++", "Tiny CLIP (zero-shot)", "trained on other data", "data:image/webp;base64,"):
        assert words in page, words
    assert re.search(r"Regions of picture [^<]*", page)
    summary = (tree.root / f"results/tables/{name}/comparison/summary.md").read_text()
    (row,) = [line for line in summary.splitlines() if "Tiny CLIP" in line]
    assert row.rstrip().endswith("1/1 |") and "from photos" in row
    for table in ("differences.csv", "comparisons.csv"):
        assert "clip" not in (tree.root / f"results/tables/{name}/comparison" / table).read_text()
    return page


@pytest.fixture(scope="module")
def own(repository: Path, tmp_path_factory: pytest.TempPathFactory, vision_model: Models) -> tuple[Tree, Path, Outcome]:
    """A copy of the repository in which `own.yaml` - a CSV and a folder of photos - ran once."""
    folder = write_photos(tmp_path_factory.mktemp("photos") / "own", splits=(("train", 24), ("dev", 8), ("test", 8)))
    tree = copy_repository(repository, folder / "tree")
    config = folder / "own.yaml"
    config.write_text(study("own", photo_settings(folder, vision_model("rt_detr"), shards=2), vision_model("clip")))
    return tree, config, run(tree, config)


@pytest.mark.slow
def test_own_photos_by_one_command(own: tuple[Tree, Path, Outcome]) -> None:
    tree, config, outcome = own
    assert outcome.code == 0, outcome.text
    assert dict(outcome.jobs) == RULES
    check_report(tree, "own")
    assert not tree.plan("--configfile", str(config)).jobs


def test_extraction_waits_for_downloads(tree: Tree, tmp_path: Path) -> None:
    """Photos and annotations may be what is fetched."""
    (tmp_path / "model").mkdir()
    dataset = photo_settings(tmp_path / "own", tmp_path / "model", shards=2) | {"needs": ["photos"]}
    download = {"urls": ["https://example.org/photos.zip"], "sha256": "0" * 64, "bytes": 1, "licence": "CC0",
                "path": str(tmp_path / "photos.zip"),
                    "unpack": {"folder": str(tmp_path / "own"), "most_bytes": 1}}  # fmt: skip
    settings = yaml.safe_load(study("own", dataset, tmp_path / "clip")) | {"downloads": {"photos": download}}
    config = tmp_path / "own.yaml"
    config.write_text(yaml.safe_dump(settings))
    planned = tree.plan("resources/own/shards/1-of-2.sha256", "--configfile", str(config))
    assert dict(planned.jobs) == {"fetch": 1, "extract": 1}


@pytest.mark.slow
def test_a_damaged_shard_alone_is_made_again(own: tuple[Tree, Path, Outcome]) -> None:
    tree, config, _ = own
    target = "resources/own/dataset.json"
    before = json.loads((tree.root / target).read_text())
    features = tree.root / "resources/own/shards/test/regions.npy"
    assert features.samefile(tree.root / "resources/own/test/regions.npy")
    damaged = bytearray(features.read_bytes())
    damaged[-1] ^= 1  # the second shard's last number; the dataset has it too, since there is one copy
    features.write_bytes(damaged)
    broken = run(tree, config, "--forcerun", "prepare", "--until", "prepare")  # all else is up to date
    assert broken.code != 0 and "another checksum than was written" in broken.text
    planned = tree.plan(target, "--configfile", str(config))
    assert dict(planned.jobs) == {"extract": 1, "prepare": 1}, planned.text
    assert "shard 2 of 2" in planned.text
    mended = tree.snakemake(target, "--cores", "2", "--configfile", str(config))
    assert mended.code == 0, mended.text
    assert json.loads((tree.root / target).read_text()) == before


@pytest.mark.slow
@pytest.mark.shared
def test_coco_photographs_by_one_command(
    repository: Path, shared_path: Path, tmp_path: Path, vision_model: Models
) -> None:
    """169 photographs of COCO with their captions and boxes, as they come."""
    source = shared_path / "data/coco_cc"
    if not source.is_dir():
        pytest.skip(f"no photographs at {source}")
    names = sorted(path.name for path in (source / "images").iterdir())
    parts = {"train": names[:121], "dev": names[121:145], "test": names[145:]}
    for split, own in parts.items():
        (tmp_path / f"{split}.txt").write_text("".join(f"{name}\n" for name in own))
    dataset = {
        "source": "photos",
        "images": str(source / "images"),
        "annotations": {
            "format": "coco",
            "captions": [str(source / "captions.json")],
            "instances": [str(source / "instances.json")],
            "lists": {split: str(tmp_path / f"{split}.txt") for split in parts},
        },
        "extract": {"kind": "regions", "model": str(vision_model("detr")), "top_k": 12, "shards": 2, "workers": 1},
        "licence": "CC BY and CC BY-SA, see ATTRIBUTION.csv",
        "min_count": 2,
    }
    tree = copy_repository(repository, tmp_path / "tree")
    config = tmp_path / "photographs.yaml"
    config.write_text(study("photographs", dataset, vision_model("clip")))
    outcome = run(tree, config)
    assert outcome.code == 0, outcome.text
    assert dict(outcome.jobs) == RULES
    data = json.loads((tree.root / "resources/photographs/dataset.json").read_text())
    assert {name: split["images"] for name, split in data["splits"].items()} == {"train": 121, "dev": 24, "test": 24}
    assert data["source"]["unreadable"]["count"] == 0
    page = check_report(tree, "photographs")
    credit = next(
        row for row in pd.read_csv(source / "ATTRIBUTION.csv").to_dict("records") if str(row["image_id"]) in page
    )
    assert str(credit["licence"]) in page and "staticflickr.com" in page
