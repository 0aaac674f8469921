"""The writer: whole datasets or none, and its checks."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lgsf.data.layout import open_dataset
from lgsf.data.text import Vocabulary
from lgsf.data.writer import Block, DatasetWriter
from lgsf.system.errors import LgsfError

VALUES = np.random.default_rng(0).normal(size=(5, 2, 3)).astype(np.float32)
IMAGES = pd.DataFrame({"image_id": list("abcde"), "file_name": ""})
CAPTIONS = pd.DataFrame({"caption_id": list("uvwxyz"), "image": [0, 0, 1, 2, 3, 4], "text": "a dog"})


def _writer(root: Path) -> DatasetWriter:
    return DatasetWriter(root, name="mine", source={"kind": "test"}, protocol={"folds": 1})


def _blocks(values: np.ndarray = VALUES, size: int = 2) -> Iterator[Block]:
    for start in range(0, len(values), size):
        block = values[start : start + size]
        yield block, np.full(len(block), 2, np.int32), np.full((len(block), 2, 4), 0.5, np.float32)


def _split(writer: DatasetWriter, name: str, **changes: Any) -> None:
    given: dict[str, Any] = {
        "images": IMAGES, "captions": CAPTIONS.assign(text=f"a dog in {name}"), "shape": VALUES.shape,
        "dtype": np.float32, "blocks": _blocks(VALUES + len(name)), "boxes": True, **changes,
    }  # fmt: skip
    writer.split(name, **given)


def _write(root: Path, **changes: Any) -> None:
    with _writer(root) as writer:
        writer.vocabulary(Vocabulary.build(["a dog"], min_count=1))
        for name in ("train", "dev", "test"):
            values = VALUES + ("train", "dev", "test").index(name)
            _split(writer, name, **{**changes, "blocks": _blocks(values), "boxes": changes.get("boxes", True)})
        writer.note(recall=0.5)


def test_arrays_are_those_that_numpy_would_save(tmp_path: Path) -> None:
    _write(tmp_path / "out", dtype=np.float16)
    np.save(tmp_path / "expected.npy", VALUES.astype(np.float16))
    assert (tmp_path / "out/train/regions.npy").read_bytes() == (tmp_path / "expected.npy").read_bytes()
    manifest = open_dataset(tmp_path / "out").manifest
    assert manifest["recall"] == 0.5
    train = manifest["splits"]["train"]
    assert (train["images"], train["captions"], train["n_regions"], train["region_dim"]) == (5, 6, 2, 3)
    assert (train["dtype"], train["mean_regions"]) == ("float16", 2.0)
    assert train["captions_per_image"] == {"1": 4, "2": 1}


def test_a_dataset_that_is_replaced_keeps_no_old_file(tmp_path: Path) -> None:
    _write(tmp_path / "out")
    assert (tmp_path / "out/dev/boxes.npy").is_file()
    _write(tmp_path / "out", boxes=False)
    assert not (tmp_path / "out/dev/boxes.npy").exists()
    assert open_dataset(tmp_path / "out").split("dev").boxes is None


class _Interrupted(BaseException):
    """Stands for Ctrl-C."""


@pytest.mark.parametrize("kind", [ValueError, _Interrupted])
def test_after_an_exception_the_old_dataset_stands_and_nothing_else(tmp_path: Path, kind: type[BaseException]) -> None:
    def fails() -> None:
        with _writer(tmp_path / "out") as writer:
            _split(writer, "train")
            raise kind("stop")

    with pytest.raises(kind):
        fails()
    assert not (tmp_path / "out").exists()
    _write(tmp_path / "out")
    before = sorted((tmp_path / "out").rglob("*"))
    with pytest.raises(kind):
        fails()
    assert sorted((tmp_path / "out").rglob("*")) == before


def test_what_a_killed_writer_left_is_cleared_and_a_living_one_is_spared(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for process in (ended.pid, os.getppid()):
        (tmp_path / "out" / f".partial-{process}" / "train").mkdir(parents=True)
    _write(tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").glob(".partial-*")] == [f".partial-{os.getppid()}"]


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LgsfError, match="the disk is full"), _writer(tmp_path / "out"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not (tmp_path / "out").exists()


def _changed(values: np.ndarray, index: Any, value: float) -> np.ndarray:
    values = values.copy()
    values[index] = value
    return values


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"blocks": _blocks(_changed(VALUES, (3, 1, 0), np.nan))}, "image row 3 hold NaN"),
        ({"blocks": [(VALUES, np.array([1, 1, 0, 2, 2]), np.zeros((5, 2, 4)))]}, "image row 2 has no valid"),
        ({"images": IMAGES.assign(image_id=list("abcad"))}, "image_id 'a' occurs twice"),
        ({"captions": CAPTIONS.assign(caption_id=list("uvwxyu"))}, "caption_id 'u' occurs twice"),
        ({"captions": CAPTIONS.assign(image=[0, 0, 1, 2, 3, 3])}, "image 'e' has no caption"),
    ],
    ids=["NaN", "no region", "image id", "caption id", "no caption"],
)
def test_faults_of_the_data_are_one_sentence(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(LgsfError, match=f"split train: .*{said}"), _writer(tmp_path / "out") as writer:
        _split(writer, "train", **changes)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"blocks": _blocks(VALUES[:4]), "boxes": False}, r"24 numbers written, \(5, 2, 3\) promised"),
        ({"blocks": _blocks(np.concatenate([VALUES, VALUES]))}, "more images than the 5 promised"),
        ({"blocks": _blocks(VALUES[:, :, :2])}, r"rows of shape \(2, 2\), \(2, 3\) promised"),
        ({"blocks": [(VALUES, np.full(5, 2), None)]}, "boxes were promised"),
        ({"images": IMAGES.iloc[:4]}, "4 rows of images, 5 promised"),
        ({"captions": CAPTIONS.assign(image=[0, 1, 2, 3, 4, 5])}, "behind the last image"),
    ],
    ids=["too few", "too many", "another shape", "no boxes", "images", "captions"],
)
def test_a_source_that_breaks_its_word_is_a_bug(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said), _writer(tmp_path / "out") as writer:
        _split(writer, "train", **changes)
    assert not (tmp_path / "out").exists()


def test_a_dataset_without_all_its_splits_is_a_bug(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="train, dev, test"), _writer(tmp_path / "out") as writer:
        _split(writer, "train")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_only_looks_like_a_killed_writers_stays(tmp_path: Path) -> None:
    (tmp_path / "out" / ".partial-old").mkdir(parents=True)
    _write(tmp_path / "out")
    assert (tmp_path / "out" / ".partial-old").is_dir() and (tmp_path / "out" / "dataset.json").is_file()


@pytest.mark.parametrize("place", ["file/data", "/proc/self/lgsf/data"])
def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(LgsfError, match=r"data could not be written .*prepare the dataset again"),
        _writer(tmp_path / place),
    ):
        pass
