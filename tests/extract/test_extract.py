"""`lgsf extract`: shards that are whole or absent, made again when and only when something about them changed."""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lgsf.data.photos.shards import ARRAYS, checksum_file, read_manifest, shard_folder
from lgsf.extract.extract import extract
from lgsf.extract.shard_writer import ShardWriter
from lgsf.system.errors import LgsfError
from lgsf.system.hashes import sha256
from lgsf.system.interrupts import Interrupted
from tests.support.photos import photo_settings, write_photos

pytestmark = pytest.mark.seconds

Models = Callable[[str], Path]


def cheap(photos: Path, models: Models, **extract: Any) -> dict[str, Any]:
    """Settings with the cheapest model: for what hangs on no model."""
    return photo_settings(photos, models("vit"), **{"kind": "grid", "grid": 2, **extract})


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "own")


def sums(root: Path) -> dict[str, str]:
    """Relative path -> checksum of everything under the dataset's shards, leftovers included."""
    return {str(p.relative_to(root)): sha256(p) for p in sorted((root / "shards").rglob("*")) if p.is_file()}


def times(folder: Path) -> set[int]:
    return {file.stat().st_mtime_ns for file in folder.iterdir()}


def arrays(folder: Path) -> dict[str, Any]:
    return {name: np.load(folder / name) for name in ARRAYS}


def test_a_shard_describes_itself(tmp_path: Path, photos: Path, vision_model: Models) -> None:
    settings = photo_settings(photos, vision_model("rt_detr"), shards=2)
    folder = extract(settings, name="own", shard=2, root=tmp_path / "data")
    assert folder == shard_folder(tmp_path / "data", 2, 2)
    manifest = read_manifest(folder)
    names = [f"dev{k}.jpg" for k in range(4)] + [f"test{k}.jpg" for k in range(4)]
    assert [photo.file_name for photo in manifest.photos] == names
    for photo in manifest.photos:
        path = photos / "photos" / photo.file_name
        with Image.open(path) as image:
            assert (photo.width, photo.height) == image.size
        assert (photo.sha256, photo.bytes, photo.bad) == (sha256(path), path.stat().st_size, None)
    found = arrays(folder)
    assert found["features.npy"].shape == (8, 6, 24) and found["features.npy"].dtype == np.float16
    assert found["boxes.npy"].shape == (8, 6, 4) and found["scores.npy"].shape == (8, 6)
    for row, count in enumerate(found["counts.npy"]):
        assert 1 <= count <= 6
        assert found["features.npy"][row, :count].any(axis=1).all() and not found["features.npy"][row, count:].any()
        assert not found["boxes.npy"][row, count:].any() and (np.diff(found["scores.npy"][row, :count]) <= 0).all()
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", checksum_file(folder).name], cwd=folder.parent, capture_output=True
    )
    assert checked.returncode == 0, checked.stderr


def test_workers_and_shards_change_no_feature(tmp_path: Path, photos: Path, vision_model: Models) -> None:
    """With one photo at a time nothing depends on how the work is shared out."""
    found = []
    for name, shards, workers in (("one", 1, 0), ("four", 4, 2)):
        settings = photo_settings(photos, vision_model("rt_detr"), shards=shards, workers=workers, batch_size=1)
        folders = [extract(settings, name="own", shard=k, root=tmp_path / name) for k in range(1, shards + 1)]
        found.append({key: np.concatenate([arrays(f)[key] for f in folders]) for key in ARRAYS})
    for key in ARRAYS:
        assert np.array_equal(found[0][key], found[1][key]), key


@pytest.mark.parametrize(("kind", "extra"), [("clip", {"kind": "image"}), ("vit", {"kind": "grid", "grid": 2})])
def test_grids_and_vectors(
    tmp_path: Path, photos: Path, vision_model: Models, kind: str, extra: dict[str, Any]
) -> None:
    settings = photo_settings(photos, vision_model(kind), dtype="float32", **extra)
    folder = extract(settings, name="own", shard=1, root=tmp_path)
    found = arrays(folder)
    assert found["features.npy"].shape == {"clip": (16, 1, 16), "vit": (16, 4, 32)}[kind]
    assert found["features.npy"].dtype == np.float32 and (found["counts.npy"] == found["features.npy"].shape[1]).all()


def test_a_whole_shard_is_left_alone(
    tmp_path: Path, photos: Path, vision_model: Models, caplog: pytest.LogCaptureFixture
) -> None:
    settings = cheap(photos, vision_model)
    folder = extract(settings, name="own", shard=1, root=tmp_path)
    before, written = sums(tmp_path), times(folder)
    checksum_file(folder).unlink()  # as the workflow does before it runs the job
    for change in ({}, {"workers": 1, "max_bad": 0.5}):
        settings["extract"] |= change
        with caplog.at_level(logging.INFO):
            extract(settings, name="own", shard=1, root=tmp_path)
        assert sums(tmp_path) == before and times(folder) == written
    assert "is whole: nothing to do" in caplog.text


@pytest.mark.parametrize(
    "change", ["settings", "model", "photo", "photo gone", *(f"damaged {name}" for name in (*ARRAYS, "shard.json"))]
)
def test_anything_else_is_made_again(tmp_path: Path, photos: Path, vision_model: Models, change: str) -> None:
    model = tmp_path / "model"
    shutil.copytree(vision_model("vit"), model)
    settings = cheap(photos, lambda _: model, max_bad=0.2)
    folder = extract(settings, name="own", shard=1, root=tmp_path / "data")
    before, written = sums(tmp_path / "data"), times(folder)
    what, _, name = change.partition(" ")
    if what == "damaged":
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(data)
    elif change == "settings":
        settings["extract"]["grid"] = 3
    elif change == "model":
        config = model / "config.json"
        config.write_text(config.read_text().replace('"gelu"', '"relu"'))
    elif change == "photo":
        Image.new("RGB", (50, 50)).save(photos / "photos" / "dev0.jpg")
    else:
        (photos / "photos" / "dev0.jpg").unlink()
    extract(settings, name="own", shard=1, root=tmp_path / "data")
    assert times(folder).isdisjoint(written)
    assert (sums(tmp_path / "data") == before) == (what == "damaged")


def test_bad_photos_are_listed_and_left_out(
    tmp_path: Path, photos: Path, vision_model: Models, caplog: pytest.LogCaptureFixture
) -> None:
    pictures = photos / "photos"
    whole = extract(cheap(photos, vision_model, batch_size=1), name="own", shard=1, root=tmp_path / "a")
    (pictures / "train0.jpg").write_bytes(b"")
    (pictures / "train5.jpg").write_bytes((pictures / "train5.jpg").read_bytes()[:400])
    (pictures / "test3.jpg").unlink()
    settings = cheap(photos, vision_model, max_bad=0.2, batch_size=1)
    folder = extract(settings, name="own", shard=1, root=tmp_path / "b")
    bad = {photo.file_name: photo.bad for photo in read_manifest(folder).photos if photo.bad}
    assert list(bad) == ["train0.jpg", "train5.jpg", "test3.jpg"]
    assert bad["train0.jpg"] == "empty file" and bad["test3.jpg"] == "No such file or directory"
    assert "truncated" in str(bad["train5.jpg"]).lower()
    for name in bad:
        assert f"{name}: left out" in caplog.text
    rows = np.array([0, 5, 15])
    others = np.setdiff1d(np.arange(16), rows)
    for key, values in arrays(folder).items():
        assert not values[rows].any()
        assert np.array_equal(values[others], arrays(whole)[key][others])


def test_too_many_bad_photos_stop_the_run(tmp_path: Path, photos: Path, vision_model: Models) -> None:
    settings = cheap(photos, vision_model, max_bad=0.1)  # one of sixteen
    (photos / "photos" / "train2.jpg").write_text("no picture")
    extract(settings, name="own", shard=1, root=tmp_path / "a")
    (photos / "photos" / "dev1.jpg").write_text("no picture")
    with pytest.raises(LgsfError, match=r"2 of 16 photos cannot be read, the first is train2.jpg \(not a picture\); "):
        extract(settings, name="own", shard=1, root=tmp_path / "b")
    assert not any((tmp_path / "b" / "shards").iterdir())


def test_a_whole_shard_of_bad_photos(tmp_path: Path, photos: Path, vision_model: Models) -> None:
    for number in range(8):
        (photos / "photos" / f"train{number}.jpg").unlink()
    settings = cheap(photos, vision_model, max_bad=1.0, shards=4)
    folder = extract(settings, name="own", shard=1, root=tmp_path)
    assert not arrays(folder)["counts.npy"].any()


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
    for shard in (0, 3):
        with pytest.raises(LgsfError, match=rf"--shard {shard}: datasets.own.extract has shards 1 to 2"):
            extract(settings, name="own", shard=shard, root=tmp_path / "data")
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


def test_features_that_do_not_fit_are_said(tmp_path: Path, photos: Path, vision_model: Models) -> None:
    from safetensors.torch import load_file, save_file

    model = tmp_path / "model"
    shutil.copytree(vision_model("vit"), model)
    tensors = load_file(model / "model.safetensors")
    tensors["layernorm.bias"] += 1e5  # beyond float16
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    settings = photo_settings(photos, model, kind="grid")
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


def command(settings: dict[str, Any], shard: int, root: Path) -> list[str]:
    return [sys.executable, "-m", "lgsf", "extract", "--name", "own", "--settings", json.dumps(settings),
            "--shard", str(shard), "--out", str(root)]  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_polite_stop_leaves_nothing(
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
    assert not any((tmp_path / "data" / "shards").iterdir())


def test_what_a_killed_writer_left_is_cleared_away(tmp_path: Path, photos: Path, vision_model: Models) -> None:
    dead = subprocess.run(["sh", "-c", "echo $$"], capture_output=True, text=True, check=True).stdout.strip()
    for name in (f".partial-1-of-1-{dead}", f".partial-1-of-1-{os.getppid()}"):
        (tmp_path / "shards" / name).mkdir(parents=True)
        (tmp_path / "shards" / name / "features.npy").write_bytes(b"half")
    extract(cheap(photos, vision_model), name="own", shard=1, root=tmp_path)
    left = [path.name for path in (tmp_path / "shards").iterdir() if path.name.startswith(".")]
    assert left == [f".partial-1-of-1-{os.getppid()}"]  # its writer lives


@pytest.mark.slow
def test_kills_at_any_moment_change_nothing(tmp_path: Path, vision_model: Models, repository: Path) -> None:
    """Twenty SIGKILLs at random; the end is that of an undisturbed run, and whole shards are never made again."""
    photos = write_photos(tmp_path / "many", splits=(("train", 60), ("dev", 6), ("test", 6)))
    settings = photo_settings(photos, vision_model("rt_detr"), shards=3, batch_size=2, workers=1)
    for shard in (1, 2, 3):
        subprocess.run(command(settings, shard, tmp_path / "calm"), cwd=repository, check=True)
    expected = sums(tmp_path / "calm")
    begin = time.monotonic()
    subprocess.run(command(settings, 1, tmp_path / "timed"), cwd=repository, check=True)
    longest = time.monotonic() - begin
    root, rng = tmp_path / "killed", random.Random(0)
    kills, whole = 0, dict[str, set[int]]()
    for attempt in range(200):
        shard = 1 + attempt % 3
        process = subprocess.Popen(command(settings, shard, root), cwd=repository, start_new_session=True)
        try:
            process.wait(timeout=rng.uniform(0.3, 1.0) * longest if kills < 20 else None)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # the decoding processes with it, as a machine's end would
            process.wait()
            kills += 1
        now = {f.name: times(f) for f in (root / "shards").glob("[0-9]-of-3")} if root.is_dir() else {}
        for name, written in whole.items():
            assert now[name] == written, f"{name} was whole and was made again"
        whole = now
        if (
            kills >= 20
            and attempt % 3 == 2
            and all(checksum_file(root / "shards" / f"{k}-of-3").is_file() for k in (1, 2, 3))
        ):
            break
    for shard in (1, 2, 3):
        subprocess.run(command(settings, shard, root), cwd=repository, check=True)
    assert kills >= 20
    assert sums(root) == expected
