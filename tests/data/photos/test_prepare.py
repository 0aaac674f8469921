"""Shards to a dataset: every feature in its place, and one clear sentence where a shard is not what it was."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lgsf.data.layout import open_dataset
from lgsf.data.photos import prepare as prepare_module
from lgsf.data.photos.shards import read_record, share
from lgsf.data.prepare import prepare
from lgsf.data.source import Store
from lgsf.data.store import filled
from lgsf.data.store.encode import encode
from lgsf.extract.extract import extract
from lgsf.system.errors import LgsfError
from lgsf.system.hashes import sha256
from lgsf.system.locks import rows_lock
from lgsf.system.logs import PROGRESS
from lgsf.verification.verify import verify
from tests.support.photos import extracted, photo_settings, shard, write_photos

Models = Callable[[str], Path]


def make(settings: dict[str, Any], root: Path) -> None:
    for number in range(1, settings["extract"].get("shards", 1) + 1):
        extract(settings, name="own", shard=number, root=root)
    prepare(settings, name="own", root=root)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, vision_model: Models) -> tuple[Path, dict[str, Any]]:
    """A folder with photos, and a dataset made from three shards of them."""
    folder = write_photos(tmp_path_factory.mktemp("photos") / "own")
    settings = photo_settings(folder, vision_model("rt_detr"), shards=3, batch_size=1)
    make(settings, folder / "data")
    return folder, settings


def copied(made: tuple[Path, dict[str, Any]], target: Path) -> tuple[Path, dict[str, Any]]:
    """A copy of photos and dataset; like every copy of a folder by its files, without second names."""
    folder, settings = made
    shutil.copytree(folder, target)
    return target, photo_settings(target, Path(settings["extract"]["model"]), shards=3, batch_size=1)


def test_every_feature_is_in_its_place(made: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = made
    whole = extracted(folder / "data")
    data = open_dataset(folder / "data")
    first = 0
    for name, count in (("train", 8), ("dev", 4), ("test", 4)):
        split = data.split(name)
        rows = slice(first, first + count)
        first += count
        assert split.images["file_name"].tolist() == [f"{name}{k}.jpg" for k in range(count)]
        assert np.array_equal(split.regions.read(np.arange(count)), whole["regions.npy"][rows])
        assert split.boxes is not None
        assert np.array_equal(split.boxes.read(np.arange(count)), whole["boxes.npy"][rows])
        assert np.array_equal(split.region_counts, whole["region_counts.npy"][rows])
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
    assert source["sha256"]["2-of-3.json"] == sha256(shard(folder / "data", 2, 3).record)


STORES = {"as_is": ("regions.npy", "boxes.npy"), "int8": ("regions.npy", "region_scales.npy", "boxes.npy")}


def used(folder: Path) -> int:
    """Bytes of the disk that all files below take, each once."""
    found = {(file.stat().st_dev, file.stat().st_ino): file.stat() for file in folder.rglob("*") if file.is_file()}
    return sum(512 * file.st_blocks for file in found.values())


@pytest.mark.parametrize("store", STORES)
def test_there_is_one_copy_of_the_features(tmp_path: Path, vision_model: Models, store: Store) -> None:
    folder = write_photos(tmp_path / "own", splits=(("train", 40), ("dev", 40), ("test", 40)), captions=1)
    root = folder / "data"
    settings = photo_settings(folder, vision_model("vit"), kind="grid", grid=8, shards=3, dtype="float32") | {
        "store": store
    }
    for number in (1, 2, 3):
        extract(settings, name="own", shard=number, root=root)
    before = used(root)
    prepare(settings, name="own", root=root)
    arrays = 0
    for split in ("train", "dev", "test"):
        for name in STORES[store]:
            ours, theirs = root / split / name, root / "shards" / split / name
            assert ours.samefile(theirs) and ours.stat().st_nlink == 2
            arrays += 512 * ours.stat().st_blocks
    tables = sum(512 * file.stat().st_blocks for file in root.glob("*/*") if file.stat().st_nlink == 1)
    tables += sum(512 * file.stat().st_blocks for file in root.glob("*.json"))
    assert used(root) - before <= tables < arrays


def test_an_int8_dataset_is_what_encoding_all_features_gives(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """The dataset `made` holds the same features as they came."""
    folder, settings = made
    make(settings | {"store": "int8"}, tmp_path / "int8")
    raw, stored = open_dataset(folder / "data"), open_dataset(tmp_path / "int8")
    for name, facts in stored.manifest["splits"].items():
        rows = np.arange(facts["images"])
        regions, scales = encode("int8", raw.split(name).regions.read(rows))
        found = stored.split(name).regions.stored(rows)
        np.testing.assert_array_equal(found[0], regions)
        np.testing.assert_array_equal(found[1], scales)
        assert facts["dtype"] == "int8" and facts["store"]["kind"] == "int8"
        assert 0 < facts["store"]["mean_relative_error"] < facts["store"]["largest_relative_error"] < 0.02
        for file in ("boxes.npy", "region_counts.npy", "images.parquet", "captions.parquet"):
            assert facts["sha256"][file] == raw.manifest["splits"][name]["sha256"][file]


def test_a_file_system_without_second_names_gets_a_copy(
    made: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(target: Path, path: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    folder, settings = copied(made, tmp_path / "copy")
    monkeypatch.setattr(Path, "hardlink_to", refused)
    with caplog.at_level(logging.INFO, logger=filled.__name__):
        prepare(settings, name="own", root=folder / "data")
    assert "train/regions.npy is copied: the file system gives it no second name" in caplog.text
    assert not (folder / "data/train/regions.npy").samefile(folder / "data/shards/train/regions.npy")
    assert open_dataset(folder / "data").manifest == open_dataset(made[0] / "data").manifest


def test_a_published_dataset_does_not_change_under_its_readers(
    made: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """A shard that is made again writes into copies of the arrays it touches, until the dataset is prepared again."""
    folder, settings = copied(made, tmp_path / "copy")
    root = folder / "data"
    prepare(settings, name="own", root=root)
    before = {path: path.read_bytes() for path in root.glob("t*/regions.npy")}
    reader = open_dataset(root).split("test").regions
    Image.new("RGB", (60, 50), "red").save(folder / "photos" / "test0.jpg")
    extract(settings, name="own", shard=3, root=root)
    assert {path: path.read_bytes() for path in before} == before
    assert not (root / "test/regions.npy").samefile(root / "shards/test/regions.npy")
    assert (root / "train/regions.npy").samefile(root / "shards/train/regions.npy")  # the third shard has no row there
    prepare(settings, name="own", root=root)
    assert (root / "test/regions.npy").samefile(root / "shards/test/regions.npy")
    changed = np.load(root / "test/regions.npy")[0]
    old = np.load(io.BytesIO(before[root / "test/regions.npy"]))
    assert not np.array_equal(changed, old[0])
    assert np.array_equal(reader.read(np.arange(4)), old)  # who had it open still reads what it opened
    settings["extract"]["nms"] = 0.3  # other arrays in the shards' folder, the dataset keeps its own
    extract(settings, name="own", shard=1, root=root)
    assert np.array_equal(np.load(root / "test/regions.npy")[0], changed)
    assert "No broken link was found" in verify(report=None, results=None, datasets=[root])


def test_a_dataset_is_not_made_while_a_shard_is(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, settings = made
    ready, child = os.pipe(), os.fork()
    if child == 0:
        with rows_lock(folder / "data" / "shards" / ".lock", range(7, 8), what="rows"):
            os.write(ready[1], b"1")
            time.sleep(600)
    try:
        assert os.read(ready[0], 1) == b"1"
        with pytest.raises(LgsfError, match=r"^A shard of own is being made by another process: wait for it"):
            prepare(settings, name="own", root=folder / "data")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


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
    with caplog.at_level(PROGRESS):
        make(settings, folder / "data")
    assert "2 of 16 photos cannot be read, the first is train3.jpg (not a picture); they are left out" in caplog.text
    data = open_dataset(folder / "data")
    train, test = data.split("train"), data.split("test")
    assert train.images["file_name"].tolist() == [f"train{k}.jpg" for k in (0, 1, 2, 4, 5, 6, 7)]
    assert test.images["file_name"].tolist() == ["test1.jpg", "test2.jpg", "test3.jpg"]
    assert test.captions["image"].tolist() == [0, 0, 1, 1, 2, 2]
    table = pd.read_csv(folder / "captions.csv")
    assert test.captions["text"].tolist() == table[table["image"].isin(test.images["file_name"])]["caption"].tolist()
    listed = np.load(folder / "data/shards/test/regions.npy")
    assert np.array_equal(test.regions.read(np.arange(3)), listed[1:]) and not listed[0].any()
    boxes = np.load(folder / "data/shards/test/boxes.npy")
    assert test.boxes is not None and np.array_equal(test.boxes.read(np.arange(3)), boxes[1:])
    for split, copies in (("train", 1), ("dev", 2), ("test", 1)):  # one file in two places where no photo is missing
        assert (folder / "data" / split / "regions.npy").stat().st_nlink == copies
    (copied_,) = [line for line in caplog.messages if line.startswith("test: ")]
    assert "its features are copied without the rows of the 1 photos that cannot be read" in copied_
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
    ("fault", "message", "anew"),
    [
        ("dev/regions.npy", r"dev/regions.npy has in rows 0 to 1 another checksum than was written", [2]),
        ("dev/region_counts.npy", r"dev/region_counts.npy has in rows 0 to 1 another checksum than was written", [2]),
        ("train/boxes.npy gone", r"train/boxes.npy is missing", [1, 2]),
        ("train/boxes.npy cut", r"train/boxes.npy is truncated", [1, 2]),
        ("dev/regions.npy order", r"dev/regions.npy has another form than was written", [2, 3]),
        ("test/regions.npy order", r"test/regions.npy has another form than was written", [3]),
        ("2-of-3.json", r"2-of-3.json is not what was written there", [2]),
        ("2-of-3.json gone", r"2-of-3.json is missing", [2]),
        ("arrays.json gone", r"1-of-3.json is of another model, code or version of a library than", [1, 2, 3]),
        ("settings", r"1-of-3.json was extracted with other settings", [1, 2, 3]),
        ("store", r"1-of-3.json was extracted with other settings", [1, 2, 3]),
        ("photos", r"1-of-3.json holds other photos than the annotations name now", [1]),
    ],
)
def test_a_shard_that_is_not_what_it_was(
    made: tuple[Path, dict[str, Any]], tmp_path: Path, fault: str, message: str, anew: list[int]
) -> None:
    folder, settings = copied(made, tmp_path / "copy")
    root = folder / "data"
    before = sha256(root / "dataset.json")
    name, _, how = fault.partition(" ")
    path = root / "shards" / name
    if fault == "settings":
        settings["extract"]["nms"] = 0.3
    elif fault == "store":
        settings["store"] = "float16"
    elif fault == "photos":
        text = (folder / "captions.csv").read_text()
        (folder / "captions.csv").write_text(text.replace("train0.jpg", "train9.jpg"))
    elif how == "gone":
        path.unlink()
    elif how == "order":  # a bit of the header turns all numbers round, and no byte of a row is another
        path.write_bytes(path.read_bytes().replace(b"<f2", b">f2"))
    elif how == "cut":
        os.truncate(path, path.stat().st_size - 1)
    else:
        flip(path)
    with pytest.raises(LgsfError, match=message) as caught:
        prepare(settings, name="own", root=root)
    which = ("s " if len(anew) > 1 else " ") + ", ".join(map(str, anew))
    assert f": run the same command again, which extracts shard{which} of 3 anew (by hand" in str(caught.value)
    gone = [number for number in (1, 2, 3) if not shard(root, number, 3).checksum.exists()]
    assert gone == anew  # so the workflow makes them, and only them, again
    assert sha256(root / "dataset.json") == before


def flip(path: Path) -> None:
    """Change a bit in the first fifth of what stands behind the header: a row of shard 2 for an array of dev."""
    data = bytearray(path.read_bytes())
    first = 128 if path.suffix == ".npy" else 0
    data[first + (len(data) - first) // 5] ^= 1
    path.write_bytes(data)


def test_the_damaged_shard_alone_is_made_again(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, settings = copied(made, tmp_path / "copy")
    root = folder / "data"
    flip(root / "shards/dev/regions.npy")
    with pytest.raises(LgsfError):
        prepare(settings, name="own", root=root)
    stamps = {k: shard(root, k, 3).record.stat().st_mtime_ns for k in (1, 2, 3)}
    make(settings, root)
    again = {k: shard(root, k, 3).record.stat().st_mtime_ns for k in (1, 2, 3)}
    assert [k for k in stamps if stamps[k] != again[k]] == [2]
    assert open_dataset(root).manifest == open_dataset(made[0] / "data").manifest


def test_a_dataset_whose_split_nobody_can_read(tmp_path: Path, vision_model: Models) -> None:
    folder = write_photos(tmp_path / "own")
    for number in range(4):
        (folder / "photos" / f"test{number}.jpg").unlink()
    settings = photo_settings(folder, vision_model("vit"), kind="image", shards=4, max_bad=1.0)
    with pytest.raises(LgsfError, match="none of the 4 photos of the split test can be read"):
        make(settings, folder / "data")
    assert read_record(shard(folder / "data", 4, 4)).sha256 == {}


def test_folds_must_divide(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, settings = made
    with pytest.raises(LgsfError, match="4 readable test photos do not divide into 3 equal folds"):
        prepare({**settings, "folds": 3}, name="own", root=folder / "data")


@pytest.mark.parametrize(("total", "shards"), [(1, 1), (10, 3), (7, 7), (100000, 9)])
def test_shards_share_all_photos_out(total: int, shards: int) -> None:
    parts = [share(total, k, shards) for k in range(1, shards + 1)]
    assert [k for part in parts for k in part] == list(range(total))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
