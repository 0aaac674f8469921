"""Reading rows of .npy files, and opening datasets that are whole or not."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lgsf.data.layout import RowReader, open_dataset
from lgsf.system.errors import LgsfError
from lgsf.system.files import write_json
from lgsf.system.hashes import sha256


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int64])
@pytest.mark.parametrize("shape", [(7,), (7, 3), (7, 3, 2), (7, 0)])
def test_rows_are_those_of_numpy(tmp_path: Path, shape: tuple[int, ...], dtype: type) -> None:
    values = np.random.default_rng(0).normal(scale=9, size=shape).astype(dtype)
    np.save(tmp_path / "a.npy", values)
    reader = RowReader(tmp_path / "a.npy")
    assert (len(reader), reader.shape, reader.dtype) == (7, shape, np.dtype(dtype))
    for rows in ([3, 4, 5, 0, 0, 6, 1, 2], [6], [], list(range(7)), [6, 5, 4]):
        index = np.array(rows, np.int64)
        np.testing.assert_array_equal(reader.read(index), values[index])


@pytest.mark.parametrize("rows", [[-1], [7], [6, 7], [-1, 0]])
def test_rows_outside_are_refused(tmp_path: Path, rows: list[int]) -> None:
    np.save(tmp_path / "a.npy", np.zeros((7, 2)))
    with pytest.raises(IndexError):
        RowReader(tmp_path / "a.npy").read(np.array(rows))


def test_both_header_versions_and_python_2_are_read(tmp_path: Path) -> None:
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    for version in ((1, 0), (2, 0)):
        with (tmp_path / "a.npy").open("wb") as file:
            np.lib.format.write_array(file, values, version=version)
        np.testing.assert_array_equal(RowReader(tmp_path / "a.npy").read(np.array([2, 0])), values[[2, 0]])
    np.save(tmp_path / "b.npy", values)
    old = (tmp_path / "b.npy").read_bytes().replace(b"(3, 2), }  ", b"(3L, 2L), }")
    (tmp_path / "b.npy").write_bytes(old)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        assert RowReader(tmp_path / "b.npy").shape == (3, 2)


def test_a_damaged_header_is_one_sentence_or_harmless(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 3), np.float32))
    sound = (tmp_path / "a.npy").read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(500):
        broken = np.frombuffer(sound, np.uint8).copy()
        broken[rng.integers(0, len(sound) - 48, 3)] = rng.integers(0, 256, 3)
        (tmp_path / "a.npy").write_bytes(broken.tobytes())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                RowReader(tmp_path / "a.npy")
            except LgsfError:
                refused += 1
    assert refused > 400


def test_a_file_that_shrinks_is_noticed(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((1000, 20)))
    reader = RowReader(tmp_path / "a.npy")
    with (tmp_path / "a.npy").open("rb+") as file:
        file.truncate(10_000)
    with pytest.raises(LgsfError, match="ended early"):
        reader.read(np.array([900]))


def test_the_remedy_ends_the_sentence(tmp_path: Path) -> None:
    with pytest.raises(LgsfError, match=r"a.npy is missing: fetch it\.$"):
        RowReader(tmp_path / "a.npy", remedy="fetch it")
    with pytest.raises(LgsfError, match=r"cannot be read .*: prepare the dataset again\.$"):
        RowReader(tmp_path)
    np.save(tmp_path / "scalar.npy", np.float32(3))
    with pytest.raises(LgsfError, match="not a C-ordered array"):
        RowReader(tmp_path / "scalar.npy")


@pytest.fixture
def copy(tiny_dataset: Path, tmp_path: Path) -> Path:
    """A dataset of one's own to damage."""
    return Path(shutil.copytree(tiny_dataset, tmp_path / "copy"))


def test_checksums_are_those_of_the_files(tiny_dataset: Path) -> None:
    splits = open_dataset(tiny_dataset).manifest["splits"]
    for name, split in splits.items():
        stored = {path.name for path in (tiny_dataset / name).iterdir()}
        assert set(split["sha256"]) == stored
        for file, digest in split["sha256"].items():
            assert sha256(tiny_dataset / name / file) == digest


@pytest.mark.parametrize("file", ["regions.npy", "region_counts.npy", "images.parquet", "captions.parquet"])
def test_a_split_with_a_missing_file_is_refused(copy: Path, file: str) -> None:
    (copy / "dev" / file).unlink()
    with pytest.raises(LgsfError, match=f"{file} is missing"):
        open_dataset(copy).split("dev")
    open_dataset(copy).split("test")


@pytest.mark.parametrize(
    "file", ["regions.npy", "boxes.npy", "region_counts.npy", "images.parquet", "captions.parquet"]
)
def test_a_split_that_is_not_of_its_manifest_is_refused(copy: Path, file: str) -> None:
    path = copy / "dev" / file
    if file.endswith(".npy"):
        np.save(path, np.load(path)[:-1])
    else:
        pd.read_parquet(path).iloc[:-1].to_parquet(path)
    with pytest.raises(LgsfError, match=f"{file} does not have the checksum that dataset.json promises"):
        open_dataset(copy).split("dev")
    manifest = json.loads((copy / "dataset.json").read_text())
    manifest["splits"]["dev"]["sha256"][file] = sha256(path)
    write_json(copy / "dataset.json", manifest)
    with pytest.raises(LgsfError, match=rf"{file} has \d+ rows and dataset.json promises \d+"):
        open_dataset(copy).split("dev")


def test_a_foreign_manifest_is_refused(copy: Path) -> None:
    path = copy / "dataset.json"
    manifest = json.loads(path.read_text())
    write_json(path, {**manifest, "schema_version": 99})
    with pytest.raises(LgsfError, match="schema version 99"):
        open_dataset(copy)
    path.write_text("[]")
    with pytest.raises(LgsfError, match="holds no object but a list"):
        open_dataset(copy)
    path.write_text("{")
    with pytest.raises(LgsfError, match="not valid JSON"):
        open_dataset(copy)
    path.unlink()
    with pytest.raises(LgsfError, match="missing"):
        open_dataset(copy)
