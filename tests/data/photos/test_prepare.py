"""Shards to a dataset: every feature in its place, and one clear sentence where a shard is not what it was."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lgsf.data.layout import open_dataset
from lgsf.data.photos import prepare as prepare_module
from lgsf.data.photos.shards import checksum_file, shard_folder, share
from lgsf.data.prepare import prepare
from lgsf.extract.extract import extract
from lgsf.system.errors import LgsfError
from lgsf.system.hashes import sha256
from tests.support.photos import photo_settings, write_photos

Models = Callable[[str], Path]


def make(settings: dict[str, Any], root: Path) -> None:
    for shard in range(1, settings["extract"].get("shards", 1) + 1):
        extract(settings, name="own", shard=shard, root=root)
    prepare(settings, name="own", root=root)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, vision_model: Models) -> tuple[Path, dict[str, Any]]:
    """A folder with photos, and a dataset made from three shards of them."""
    folder = write_photos(tmp_path_factory.mktemp("photos") / "own")
    settings = photo_settings(folder, vision_model("rt_detr"), shards=3, batch_size=1)
    make(settings, folder / "data")
    return folder, settings


def copied(made: tuple[Path, dict[str, Any]], target: Path) -> tuple[Path, dict[str, Any]]:
    folder, settings = made
    shutil.copytree(folder, target)
    return target, photo_settings(target, Path(settings["extract"]["model"]), shards=3, batch_size=1)


def test_every_feature_is_in_its_place(made: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = made
    shards = [shard_folder(folder / "data", k, 3) for k in (1, 2, 3)]
    whole = {
        name: np.concatenate([np.load(shard / f"{name}.npy") for shard in shards])
        for name in ("features", "boxes", "counts")
    }
    data = open_dataset(folder / "data")
    first = 0
    for name, count in (("train", 8), ("dev", 4), ("test", 4)):
        split = data.split(name)
        rows = slice(first, first + count)
        first += count
        assert split.images["file_name"].tolist() == [f"{name}{k}.jpg" for k in range(count)]
        assert np.array_equal(split.regions.read(np.arange(count)), whole["features"][rows])
        assert split.boxes is not None
        assert np.array_equal(split.boxes.read(np.arange(count)), whole["boxes"][rows])
        assert np.array_equal(split.region_counts, whole["counts"][rows])
        for row, image in split.images.iterrows():
            path = folder / "photos" / str(image["file_name"])
            with Image.open(path) as picture:
                assert (image["width"], image["height"]) == picture.size
            assert image["sha256"] == sha256(path)
            own = split.captions[split.captions["image"] == row]["text"].tolist()
            table = pd.read_csv(folder / "captions.csv")
            assert own == table[table["image"] == image["file_name"]]["caption"].tolist()


def test_the_manifest_says_where_features_come_from(made: tuple[Path, dict[str, Any]]) -> None:
    folder, settings = made
    source = open_dataset(folder / "data").manifest["source"]
    model = Path(settings["extract"]["model"])
    assert source["kind"] == "photos" and source["features"] == "rt_detr regions"
    assert source["model"]["model.safetensors"] == sha256(model / "model.safetensors")
    assert source["extract"]["top_k"] == 6 and "shards" not in source["extract"]
    assert source["unreadable"] == {"count": 0, "first": {}}
    assert source["sha256"]["captions.csv"] == sha256(folder / "captions.csv")
    assert source["sha256"]["2-of-3/shard.json"] == sha256(shard_folder(folder / "data", 2, 3) / "shard.json")


def test_blocks_change_nothing(
    made: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, settings = copied(made, tmp_path / "copy")
    before = json.loads((folder / "data" / "dataset.json").read_text())["splits"]
    monkeypatch.setattr(prepare_module, "BLOCK_BYTES", 1)  # one photo at a time
    prepare(settings, name="own", root=folder / "data")
    assert json.loads((folder / "data" / "dataset.json").read_text())["splits"] == before


def test_unreadable_photos_are_left_out_with_their_captions(
    tmp_path: Path, vision_model: Models, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_photos(tmp_path / "own")
    (folder / "photos" / "train3.jpg").write_text("no picture")
    (folder / "photos" / "test0.jpg").unlink()
    settings = photo_settings(folder, vision_model("vit"), kind="image", shards=2, max_bad=0.2)
    with caplog.at_level(logging.WARNING):
        make(settings, folder / "data")
    assert "2 of 16 photos cannot be read, the first is train3.jpg (not a picture); they are left out" in caplog.text
    data = open_dataset(folder / "data")
    train, test = data.split("train"), data.split("test")
    assert train.images["file_name"].tolist() == [f"train{k}.jpg" for k in (0, 1, 2, 4, 5, 6, 7)]
    assert test.images["file_name"].tolist() == ["test1.jpg", "test2.jpg", "test3.jpg"]
    assert test.captions["image"].tolist() == [0, 0, 1, 1, 2, 2]
    table = pd.read_csv(folder / "captions.csv")
    assert test.captions["text"].tolist() == table[table["image"].isin(test.images["file_name"])]["caption"].tolist()
    unreadable = data.manifest["source"]["unreadable"]
    assert unreadable == {
        "count": 2,
        "first": {"train3.jpg": "not a picture", "test0.jpg": "No such file or directory"},
    }


def test_more_unreadable_photos_than_allowed(tmp_path: Path, vision_model: Models) -> None:
    """Each shard has one, which the whole dataset may have; together they are too many."""
    folder = write_photos(tmp_path / "own")
    for name in ("train3.jpg", "test0.jpg"):
        (folder / "photos" / name).write_text("no picture")
    settings = photo_settings(folder, vision_model("vit"), kind="image", shards=2, max_bad=0.1)
    with pytest.raises(LgsfError, match=r"2 of 16 photos cannot be read.*extract.max_bad allows 10.00%"):
        make(settings, folder / "data")
    assert not (folder / "data" / "dataset.json").exists()
    assert len(list((folder / "data" / "shards").glob("*.sha256"))) == 2  # the shards are as good as before


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("features.npy", r"2-of-3/features.npy has another checksum than was written"),
        ("counts.npy", r"2-of-3/counts.npy has another checksum than was written"),
        ("boxes.npy gone", r"2-of-3/boxes.npy cannot be read \(No such file"),
        ("shard.json", r"2-of-3/shard.json is not"),
        ("gone", r"2-of-3/shard.json is missing"),
        ("settings", r"1-of-3 was extracted with other settings"),
        ("photos", r"1-of-3 holds other photos than the annotations name now"),
    ],
)
def test_a_shard_that_is_not_what_it_was(
    made: tuple[Path, dict[str, Any]], tmp_path: Path, fault: str, message: str
) -> None:
    folder, settings = copied(made, tmp_path / "copy")
    shard = shard_folder(folder / "data", 2, 3)
    before = sha256(folder / "data" / "dataset.json")
    name, _, gone = fault.partition(" ")
    if fault == "settings":
        settings["extract"]["nms"] = 0.3
    elif fault == "photos":
        text = (folder / "captions.csv").read_text()
        (folder / "captions.csv").write_text(text.replace("train0.jpg", "train9.jpg"))
    elif fault == "gone":
        shutil.rmtree(shard)
    elif gone:
        (shard / name).unlink()
    else:
        data = bytearray((shard / name).read_bytes())
        data[len(data) // 3] ^= 255
        (shard / name).write_bytes(data)
    with pytest.raises(LgsfError, match=message) as caught:
        prepare(settings, name="own", root=folder / "data")
    number = message.partition("-of")[0][-1]
    assert f"run the same command again, which extracts shard {number} of 3 anew" in str(caught.value)
    assert not checksum_file(shard_folder(folder / "data", int(number), 3)).exists()  # so the workflow makes it again
    assert len(list((folder / "data" / "shards").glob("*.sha256"))) == 2
    assert sha256(folder / "data" / "dataset.json") == before


def test_the_damaged_shard_alone_is_made_again(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, settings = copied(made, tmp_path / "copy")
    features = shard_folder(folder / "data", 2, 3) / "features.npy"
    features.write_bytes(features.read_bytes()[:-7])
    with pytest.raises(LgsfError):
        prepare(settings, name="own", root=folder / "data")
    stamps = {k: (shard_folder(folder / "data", k, 3) / "shard.json").stat().st_mtime_ns for k in (1, 2, 3)}
    make(settings, folder / "data")
    again = {k: (shard_folder(folder / "data", k, 3) / "shard.json").stat().st_mtime_ns for k in (1, 2, 3)}
    assert [k for k in stamps if stamps[k] != again[k]] == [2]
    assert open_dataset(folder / "data").manifest == open_dataset(made[0] / "data").manifest


def test_folds_must_divide(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, settings = made
    with pytest.raises(LgsfError, match="4 readable test photos do not divide into 3 equal folds"):
        prepare({**settings, "folds": 3}, name="own", root=folder / "data")


@pytest.mark.parametrize(("total", "shards"), [(1, 1), (10, 3), (7, 7), (100000, 9)])
def test_shards_share_all_photos_out(total: int, shards: int) -> None:
    parts = [share(total, k, shards) for k in range(1, shards + 1)]
    assert [k for part in parts for k in part] == list(range(total))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
