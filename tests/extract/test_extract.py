"""`lgsf extract`: shards that are whole or absent, made again when and only when something about them changed."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lgsf.data.photos.shards import Shard, fault_of, read_record
from lgsf.data.source import Store
from lgsf.data.store.encode import Loss, stored_block
from lgsf.extract.extract import extract
from lgsf.extract.shard_writer import ShardWriter
from lgsf.system.artefacts import atomic
from lgsf.system.errors import LgsfError
from lgsf.system.hashes import sha256
from lgsf.system.interrupts import Interrupted
from lgsf.system.locks import rows_lock
from tests.support.photos import extracted, photo_settings, shard, write_photos

pytestmark = pytest.mark.seconds

Models = Callable[[str], Path]


def cheap(photos: Path, models: Models, **extract: Any) -> dict[str, Any]:
    """Settings with the cheapest model: for what hangs on no model."""
    return photo_settings(photos, models("vit"), **{"kind": "grid", "grid": 2, **extract})


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "own")


def sums(root: Path) -> dict[str, str]:
    """Relative path -> checksum of everything under the dataset's shards, leftovers included, but locks."""
    files = [path for path in sorted((root / "shards").rglob("*")) if path.is_file()]
    return {str(path.relative_to(root)): sha256(path) for path in files if not path.name.endswith(".lock")}


def made_at(record: Path) -> int:
    return record.stat().st_mtime_ns


def flip(path: Path, place: int = -1) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def test_a_shard_describes_itself(tmp_path: Path, photos: Path, vision_model: Models) -> None:
    settings = photo_settings(photos, vision_model("rt_detr"), shards=2)
    root = tmp_path / "data"
    second = shard(root, 2, 2)
    assert extract(settings, name="own", shard=2, root=root) == second.record
    record = read_record(second)
    names = [f"dev{k}.jpg" for k in range(4)] + [f"test{k}.jpg" for k in range(4)]
    assert [photo.file_name for photo in record.photos] == names
    for photo in record.photos:
        path = photos / "photos" / photo.file_name
        with Image.open(path) as image:
            assert (photo.width, photo.height) == image.size
        assert (photo.sha256, photo.bytes, photo.bad) == (sha256(path), path.stat().st_size, None)
    found = extracted(root)
    assert found["regions.npy"].shape == (16, 6, 24) and found["regions.npy"].dtype == np.float16
    assert found["boxes.npy"].shape == (16, 6, 4)
    assert not found["region_counts.npy"][:8].any() and not found["regions.npy"][:8].any()  # of the other shard
    for row, count in enumerate(found["region_counts.npy"][8:], 8):
        assert 1 <= count <= 6
        assert found["regions.npy"][row, :count].any(axis=1).all() and not found["regions.npy"][row, count:].any()
        assert not found["boxes.npy"][row, count:].any()
    for name, promised in record.sha256.items():
        assert hashlib.sha256(np.load(root / "shards" / name).tobytes()).hexdigest() == promised
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", second.checksum.name], cwd=second.folder, capture_output=True
    )
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("store", ["as_is", "float16", "int8"])
def test_a_store_is_written_by_shards(tmp_path: Path, photos: Path, vision_model: Models, store: Store) -> None:
    """What the shards wrote is what encoding all features at once gives, and so is the loss that they noted."""
    settings = photo_settings(photos, vision_model("rt_detr"), shards=3, batch_size=1, dtype="float32")
    for root, own in ((tmp_path / "raw", {}), (tmp_path / "stored", {"store": store})):
        for number in (1, 2, 3):
            extract(settings | own, name="own", shard=number, root=root)
    raw, found = extracted(tmp_path / "raw"), extracted(tmp_path / "stored")
    expected = stored_block(store, raw["regions.npy"], raw["boxes.npy"])
    assert found.keys() == {*expected, "region_counts.npy"}
    for name, values in expected.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values)
    once, joined = Loss("all", store), Loss("all", store)
    once.add(raw["regions.npy"], expected, raw["region_counts.npy"])
    for number in (1, 2, 3):
        for lost in read_record(shard(tmp_path / "stored", number, 3)).loss.values():
            joined.join(*lost)
    assert (joined.largest, joined.regions) == (once.largest, once.regions)
    assert joined.total == pytest.approx(once.total, rel=1e-12)


def test_features_that_a_store_cannot_hold(tmp_path: Path, photos: Path, vision_model: Models) -> None:
    model = louder(vision_model("vit"), tmp_path / "model")
    settings = photo_settings(photos, model, kind="grid", dtype="float32") | {"store": "float16"}
    with pytest.raises(LgsfError, match=r"the features reach .* and float16 ends at 65504; set store"):
        extract(settings, name="own", shard=1, root=tmp_path / "data")


def test_workers_and_shards_change_no_feature(tmp_path: Path, photos: Path, vision_model: Models) -> None:
    """With one photo at a time nothing depends on how the work is shared out."""
    found = []
    for name, shards, workers in (("one", 1, 0), ("four", 4, 2)):
        settings = photo_settings(photos, vision_model("rt_detr"), shards=shards, workers=workers, batch_size=1)
        for number in range(1, shards + 1):
            extract(settings, name="own", shard=number, root=tmp_path / name)
        found.append(extracted(tmp_path / name))
    for key in found[0]:
        assert np.array_equal(found[0][key], found[1][key]), key


@pytest.mark.parametrize(("kind", "extra"), [("clip", {"kind": "image"}), ("vit", {"kind": "grid", "grid": 2})])
def test_grids_and_vectors(
    tmp_path: Path, photos: Path, vision_model: Models, kind: str, extra: dict[str, Any]
) -> None:
    settings = photo_settings(photos, vision_model(kind), dtype="float32", **extra)
    extract(settings, name="own", shard=1, root=tmp_path)
    found = extracted(tmp_path)
    regions = found["regions.npy"]
    assert regions.shape == {"clip": (16, 1, 16), "vit": (16, 4, 32)}[kind]
    assert regions.dtype == np.float32 and (found["region_counts.npy"] == regions.shape[1]).all()


def test_a_whole_shard_is_left_alone(
    tmp_path: Path, photos: Path, vision_model: Models, caplog: pytest.LogCaptureFixture
) -> None:
    settings = cheap(photos, vision_model)
    record = extract(settings, name="own", shard=1, root=tmp_path)
    before, written = sums(tmp_path), made_at(record)
    shard(tmp_path).checksum.unlink()  # as the workflow does before it runs the job
    for change in ({}, {"workers": 1, "max_bad": 0.5}):
        settings["extract"] |= change
        with caplog.at_level(logging.INFO):
            extract(settings, name="own", shard=1, root=tmp_path)
        assert sums(tmp_path) == before and made_at(record) == written
    assert "is whole: nothing to do" in caplog.text


ARRAYS = ("regions.npy", "region_scales.npy", "boxes.npy", "region_counts.npy")
DAMAGED = [f"damaged {split}/{name}" for split in ("train", "test") for name in ARRAYS]


@pytest.mark.parametrize(
    "change",
    ["settings", "store", "model", "photo", "photo gone", "list", *DAMAGED, "damaged 1-of-1.json",
     "damaged arrays.json", "cut train/boxes.npy", "gone dev/regions.npy"],
)  # fmt: skip
def test_anything_else_is_made_again(tmp_path: Path, photos: Path, vision_model: Models, change: str) -> None:
    model, root = tmp_path / "model", tmp_path / "data"
    shutil.copytree(vision_model("vit"), model)
    settings = cheap(photos, lambda _: model, max_bad=0.2) | {"store": "int8"}
    record = extract(settings, name="own", shard=1, root=root)
    before, written = sums(root), made_at(record)
    what, _, name = change.partition(" ")
    if what == "damaged":
        flip(root / "shards" / name)
    elif what == "cut":
        os.truncate(root / "shards" / name, 200)
    elif what == "gone":
        (root / "shards" / name).unlink()
    elif change == "settings":
        settings["extract"]["grid"] = 3
    elif change == "store":
        settings["store"] = "float16"
    elif change == "model":
        config = model / "config.json"
        config.write_text(config.read_text().replace('"gelu"', '"relu"'))
    elif change == "photo":
        Image.new("RGB", (50, 50)).save(photos / "photos" / "dev0.jpg")
    elif change == "list":
        table = photos / "captions.csv"
        table.write_text("".join(line for line in table.read_text().splitlines(True) if "train0.jpg" not in line))
    else:
        (photos / "photos" / "dev0.jpg").unlink()
    extract(settings, name="own", shard=1, root=root)
    assert made_at(record) != written
    assert (sums(root) == before) == (what in ("damaged", "cut", "gone") and name != "")


def test_another_number_of_shards_starts_anew_in_the_same_arrays(
    tmp_path: Path, photos: Path, vision_model: Models
) -> None:
    found = []
    for of in (1, 3, 2):
        for number in range(1, of + 1):
            extract(cheap(photos, vision_model, shards=of, batch_size=1), name="own", shard=number, root=tmp_path)
        found.append({name: digest for name, digest in sums(tmp_path).items() if name.endswith(".npy")})
    assert found[0] == found[1] == found[2]


def test_the_arrays_of_another_model_are_replaced_by_whoever_comes_first(
    tmp_path: Path, photos: Path, vision_model: Models
) -> None:
    """A shard whose rows went with them is missing, whatever its record says."""
    settings = cheap(photos, vision_model, shards=2)
    for number in (1, 2):
        extract(settings, name="own", shard=number, root=tmp_path)
    extract(cheap(photos, vision_model, shards=2, grid=3), name="own", shard=1, root=tmp_path)
    assert extracted(tmp_path)["regions.npy"].shape[1] == 9
    fault = fault_of(shard(tmp_path, 2, 2), read_record(shard(tmp_path, 2, 2)))
    assert fault is not None and "2-of-2.json is of another model, code or version of a library" in fault


def test_a_shard_that_another_process_makes_is_refused(tmp_path: Path, photos: Path, vision_model: Models) -> None:
    settings = cheap(photos, vision_model, shards=2)
    lock = tmp_path / "shards" / ".lock"
    with another_process_holds(lock, shard(tmp_path, 1, 2).photos):
        with pytest.raises(LgsfError, match=r"^own, shard 1 of 2 is being made by another process: wait for it or"):
            extract(settings, name="own", shard=1, root=tmp_path)
        extract(settings, name="own", shard=2, root=tmp_path)  # others go on
    extract(settings, name="own", shard=1, root=tmp_path)


@contextmanager
def another_process_holds(path: Path, rows: range) -> Iterator[None]:
    """Hold a lock in a process of its own, which is killed in the end."""
    ready, child = os.pipe(), os.fork()
    if child == 0:
        with rows_lock(path, rows, what="rows"):
            os.write(ready[1], b"1")
            time.sleep(600)
    try:
        assert os.read(ready[0], 1) == b"1"
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_bad_photos_are_listed_and_left_out(
    tmp_path: Path, photos: Path, vision_model: Models, caplog: pytest.LogCaptureFixture
) -> None:
    pictures = photos / "photos"
    extract(cheap(photos, vision_model, batch_size=1), name="own", shard=1, root=tmp_path / "a")
    (pictures / "train0.jpg").write_bytes(b"")
    (pictures / "train5.jpg").write_bytes((pictures / "train5.jpg").read_bytes()[:400])
    (pictures / "test3.jpg").unlink()
    settings = cheap(photos, vision_model, max_bad=0.2, batch_size=1)
    extract(settings, name="own", shard=1, root=tmp_path / "b")
    bad = {photo.file_name: photo.bad for photo in read_record(shard(tmp_path / "b")).photos if photo.bad}
    assert list(bad) == ["train0.jpg", "train5.jpg", "test3.jpg"]
    assert bad["train0.jpg"] == "empty file" and bad["test3.jpg"] == "No such file or directory"
    assert "truncated" in str(bad["train5.jpg"]).lower()
    for name in bad:
        assert f"{name}: left out" in caplog.text
    rows = np.array([0, 5, 15])
    others = np.setdiff1d(np.arange(16), rows)
    for key, values in extracted(tmp_path / "b").items():
        assert not values[rows].any()
        assert np.array_equal(values[others], extracted(tmp_path / "a")[key][others])


def test_too_many_bad_photos_stop_the_run(tmp_path: Path, photos: Path, vision_model: Models) -> None:
    settings = cheap(photos, vision_model, max_bad=0.1)  # one of sixteen
    (photos / "photos" / "train2.jpg").write_text("no picture")
    extract(settings, name="own", shard=1, root=tmp_path / "a")
    (photos / "photos" / "dev1.jpg").write_text("no picture")
    with pytest.raises(LgsfError, match=r"2 of 16 photos cannot be read, the first is train2.jpg \(not a picture\); "):
        extract(settings, name="own", shard=1, root=tmp_path / "b")
    assert_nothing_vouches(shard(tmp_path / "b"))


def assert_nothing_vouches(unfinished: Shard) -> None:
    assert not unfinished.record.exists() and not unfinished.checksum.exists()


def test_a_whole_shard_of_bad_photos(tmp_path: Path, photos: Path, vision_model: Models) -> None:
    """Nobody knows how wide the arrays will be, and nobody needs to."""
    for number in range(4):
        (photos / "photos" / f"train{number}.jpg").unlink()
    settings = cheap(photos, vision_model, max_bad=1.0, shards=4)
    first = shard(tmp_path, 1, 4)
    written = made_at(extract(settings, name="own", shard=1, root=tmp_path))
    assert read_record(first).sha256 == {} and not (first.folder / "arrays.json").exists()
    for number in (1, 2):
        extract(settings, name="own", shard=number, root=tmp_path)
    assert made_at(first.record) == written
    assert extracted(tmp_path)["region_counts.npy"].astype(bool).tolist() == [False] * 4 + [True] * 4 + [False] * 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": "/nowhere"}, r"/nowhere: there is no such folder; set images"),
        ({"extract": {"model": "/nowhere/model"}}, r"extract.model '/nowhere/model' is no folder: give the folder of"),
        ({"extract": {"model": "package:nothing/x"}}, r"names a package that is not installed"),
        ({"extract": {"shards": 99}}, r"extract.shards is 99 for 16 photos; ask for fewer shards"),
        ({"extract": {"top_k": 0}}, r"datasets.own: .*top_k.*greater than or equal to 1, not 0"),
        ({"extract": {"model": "timm:resnet18"}}, r"timm has no detectors"),
        ({"extract": {"colour": 1}}, r"unknown key 'extract.colour'"),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence(
    tmp_path: Path, photos: Path, vision_model: Models, change: dict[str, Any], message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    settings = photo_settings(photos, vision_model("rt_detr"))
    for key, value in change.items():
        settings[key] = settings[key] | value if isinstance(value, dict) else value
    with pytest.raises(LgsfError, match=message) as caught:
        extract(settings, name="own", shard=1, root=tmp_path / "data")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "data").exists()


def test_shard_numbers_and_sources(tmp_path: Path, photos: Path, vision_model: Models) -> None:
    settings = photo_settings(photos, vision_model("rt_detr"), shards=2)
    for number in (0, 3):
        with pytest.raises(LgsfError, match=rf"--shard {number}: datasets.own.extract has shards 1 to 2"):
            extract(settings, name="own", shard=number, root=tmp_path / "data")
    with pytest.raises(LgsfError, match="features are extracted for source 'photos', not 'scenes'"):
        extract({"source": "scenes"}, name="own", shard=1, root=tmp_path / "data")


@pytest.mark.parametrize("fault", ["weight gone", "no weights", "no processor", "broken weights", "not a detector"])
def test_models_that_cannot_be_used(tmp_path: Path, photos: Path, vision_model: Models, fault: str) -> None:
    from safetensors.torch import load_file, save_file

    model = tmp_path / "model"
    shutil.copytree(vision_model("vit" if fault == "not a detector" else "rt_detr"), model)
    weights = model / "model.safetensors"
    message = "cannot be opened by AutoModelForObjectDetection"
    if fault == "weight gone":
        tensors = load_file(weights)
        name = next(name for name in sorted(tensors) if "encoder_input_proj" in name)
        del tensors[name]
        save_file(tensors, weights, metadata={"format": "pt"})
        message = r"lacks 1 weights of its model, the first is '.*encoder_input_proj"
    elif fault == "no weights":
        weights.rename(model / "pytorch_model.bin")
        message = r"has no \*.safetensors, and weights of other formats are not read"
    elif fault == "no processor":
        (model / "preprocessor_config.json").unlink()
    elif fault == "broken weights":
        weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(LgsfError, match=message):
        extract(photo_settings(photos, model), name="own", shard=1, root=tmp_path / "data")


def louder(model: Path, copy: Path) -> Path:
    """A copy of a vision transformer whose features are beyond float16."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(model, copy)
    tensors = load_file(copy / "model.safetensors")
    tensors["layernorm.bias"] += 1e5
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    return copy


def test_features_that_do_not_fit_are_said(tmp_path: Path, photos: Path, vision_model: Models) -> None:
    settings = photo_settings(photos, louder(vision_model("vit"), tmp_path / "model"), kind="grid")
    with pytest.raises(LgsfError, match=r"train0.jpg: its features are not finite in float16; set extract.dtype"):
        extract(settings, name="own", shard=1, root=tmp_path / "data")
    settings["extract"]["dtype"] = "float32"
    extract(settings, name="own", shard=1, root=tmp_path / "data")


def test_progress_says_rate_and_time_left(
    tmp_path: Path,
    photos: Path,
    vision_model: Models,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lgsf.extract.extract.EVERY", 0.0)
    (photos / "photos" / "train0.jpg").unlink()
    with caplog.at_level(logging.INFO):
        settings = cheap(photos, vision_model, max_bad=0.5)
        extract(settings, name="own", shard=1, root=tmp_path / "data")
    lines = [record.message for record in caplog.records if " a second" in record.message]
    assert len(lines) == 7  # six batches and the end
    assert lines[0].startswith("own, shard 1 of 1: 3 of 16 photos, ") and "s left, 1 cannot be read" in lines[0]
    assert lines[-1].startswith("own, shard 1 of 1: 16 photos in ")


def command(settings: dict[str, Any], number: int, root: Path) -> list[str]:
    return [sys.executable, "-m", "lgsf", "extract", "--name", "own", "--settings", json.dumps(settings),
            "--shard", str(number), "--out", str(root)]  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_polite_stop_leaves_rows_that_nothing_vouches_for(
    tmp_path: Path, photos: Path, vision_model: Models, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    put = ShardWriter.put

    def put_and_stop(writer: ShardWriter, *arguments: Any) -> None:
        put(writer, *arguments)
        if len(writer.photos) == 7:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(ShardWriter, "put", put_and_stop)
    with pytest.raises(Interrupted, match=f"stopped by {signal.Signals(number).name}"):
        extract(cheap(photos, vision_model), name="own", shard=1, root=tmp_path / "data")
    assert_nothing_vouches(shard(tmp_path / "data"))


def test_a_disk_that_is_full_is_one_sentence(
    tmp_path: Path, photos: Path, vision_model: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    settings = cheap(photos, vision_model)
    extract(settings, name="own", shard=1, root=tmp_path / "calm")
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(LgsfError, match=r"shards could not be written \(the disk is full: No space left on device\): "):
        extract(settings, name="own", shard=1, root=tmp_path / "data")
    monkeypatch.undo()
    assert_nothing_vouches(shard(tmp_path / "data"))
    extract(settings, name="own", shard=1, root=tmp_path / "data")
    assert sums(tmp_path / "data") == sums(tmp_path / "calm")


def test_what_a_killed_writer_left_is_cleared_away(tmp_path: Path, photos: Path, vision_model: Models) -> None:
    dead = subprocess.run(["sh", "-c", "echo $$"], capture_output=True, text=True, check=True).stdout.strip()
    folder = tmp_path / "shards" / "train"
    folder.mkdir(parents=True)
    left = folder / f".regions.npy.{atomic._HOST}.{dead}.tmp"
    left.write_bytes(b"half an array")
    extract(cheap(photos, vision_model), name="own", shard=1, root=tmp_path)
    assert not left.exists()


@pytest.mark.slow
def test_shards_at_once_end_as_one_after_the_other(tmp_path: Path, vision_model: Models, repository: Path) -> None:
    """Whoever knows the width first makes the arrays, and nobody touches the rows of others."""
    photos = write_photos(tmp_path / "many", splits=(("train", 20), ("dev", 6), ("test", 6)))
    settings = photo_settings(photos, vision_model("rt_detr"), shards=3, batch_size=2)
    for number in (1, 2, 3):
        extract(settings, name="own", shard=number, root=tmp_path / "calm")
    together = [subprocess.Popen(command(settings, k, tmp_path / "data"), cwd=repository) for k in (3, 1, 2)]
    assert [process.wait() for process in together] == [0, 0, 0]
    assert sums(tmp_path / "data") == sums(tmp_path / "calm")


@pytest.mark.slow
def test_kills_at_any_moment_change_nothing(tmp_path: Path, vision_model: Models, repository: Path) -> None:
    """Twenty SIGKILLs at random; the end is that of an undisturbed run, and whole shards are never made again."""
    photos = write_photos(tmp_path / "many", splits=(("train", 60), ("dev", 6), ("test", 6)))
    settings = photo_settings(photos, vision_model("rt_detr"), shards=3, batch_size=2, workers=1)
    for number in (1, 2, 3):
        subprocess.run(command(settings, number, tmp_path / "calm"), cwd=repository, check=True)
    expected = sums(tmp_path / "calm")
    begin = time.monotonic()
    subprocess.run(command(settings, 1, tmp_path / "timed"), cwd=repository, check=True)
    longest = time.monotonic() - begin
    root, rng = tmp_path / "killed", random.Random(0)
    kills, whole = 0, dict[str, int]()
    for attempt in range(200):
        number = 1 + attempt % 3
        process = subprocess.Popen(command(settings, number, root), cwd=repository, start_new_session=True)
        try:
            process.wait(timeout=rng.uniform(0.3, 1.0) * longest if kills < 20 else None)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # the decoding processes with it, as a machine's end would
            process.wait()
            kills += 1
        now = {f.name: made_at(f) for f in (root / "shards").glob("[0-9]-of-3.json")} if root.is_dir() else {}
        for name, written in whole.items():
            assert now[name] == written, f"{name} was whole and was made again"
        whole = now
        if kills >= 20 and attempt % 3 == 2 and all(shard(root, k, 3).checksum.is_file() for k in (1, 2, 3)):
            break
    for number in (1, 2, 3):
        subprocess.run(command(settings, number, root), cwd=repository, check=True)
    assert kills >= 20
    assert sums(root) == expected
