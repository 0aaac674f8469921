"""Shards: the file equals one that numpy saves at once, and what is half or damaged is found and made again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lgsf.data.layout import open_dataset
from lgsf.data.source import Store
from lgsf.data.store.encode import stored_arrays, stored_block
from lgsf.data.store.shards import (
    ShardWriter,
    adopt,
    create_arrays,
    filled_blocks,
    missing_shards,
    read_shard,
    record_path,
    shard_ranges,
)
from lgsf.data.text import Vocabulary
from lgsf.data.writer import DatasetWriter

N, REGIONS, DIM = 23, 3, 4
PLAN = {
    "regions.npy": ((N, REGIONS, DIM), np.float16),
    "region_counts.npy": ((N,), np.int32),
    "nothing.npy": ((N, 0), np.float32),
}
SHARDS = shard_ranges(N, 5)


def rows(shard: range) -> dict[str, np.ndarray]:
    """What the maker of these shards makes: any row is a function of its number."""
    number = np.arange(shard.start, shard.stop)
    regions = number[:, None, None] + np.linspace(0, 1, REGIONS * DIM).reshape(REGIONS, DIM)
    return {
        "regions.npy": regions.astype(np.float16),
        "region_counts.npy": (1 + number % REGIONS).astype(np.int32),
        "nothing.npy": np.zeros((len(number), 0), np.float32),
    }


def write(folder: Path, shard: range, size: int = 2) -> None:
    create_arrays(folder, PLAN)
    with ShardWriter(folder, shard) as writer:
        for first in range(shard.start, shard.stop, size):
            writer.append(rows(range(first, min(first + size, shard.stop))))
        writer.note(bad=[f"{shard.start}.jpg"])


def assert_whole(folder: Path, expected: Path) -> None:
    """Every array has the bytes that numpy would have saved."""
    expected.mkdir(exist_ok=True)
    for name, values in rows(range(N)).items():
        np.save(expected / name, values)
        assert (folder / name).read_bytes() == (expected / name).read_bytes()


def test_ranges_are_all_rows_once() -> None:
    assert [list(shard) for shard in shard_ranges(5, 2)] == [[0, 1], [2, 3], [4]]
    assert shard_ranges(0, 2) == []


def test_processes_at_once_write_what_numpy_would_save(tmp_path: Path) -> None:
    folder = tmp_path / "split"
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        list(pool.map(write, [folder] * len(SHARDS), reversed(SHARDS)))
    assert missing_shards(folder, SHARDS) == []
    assert_whole(folder, tmp_path / "expected")
    assert read_shard(folder, SHARDS[1]) == {"bad": ["5.jpg"]}


def test_a_shard_that_fails_is_missing_and_the_others_stand(tmp_path: Path) -> None:
    for shard in SHARDS:
        write(tmp_path, shard)

    def fails() -> None:
        with ShardWriter(tmp_path, SHARDS[2]) as writer:
            writer.append(rows(range(10, 12)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fails()
    assert missing_shards(tmp_path, SHARDS) == [SHARDS[2]]
    write(tmp_path, SHARDS[2])
    assert_whole(tmp_path, tmp_path / "expected")


def _flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", ["bit", "record", "truncated record", "array cut", "array gone", "other record"])
def test_damage_of_any_kind_is_found_and_made_again(tmp_path: Path, damage: str) -> None:
    for shard in SHARDS:
        write(tmp_path, shard)
    record, regions = record_path(tmp_path, SHARDS[4]), tmp_path / "regions.npy"
    if damage == "bit":
        _flip(regions, -1)
    elif damage == "record":
        record.unlink()
    elif damage == "truncated record":
        record.write_bytes(record.read_bytes()[:-9])
    elif damage == "array cut":
        os.truncate(regions, regions.stat().st_size - 1)
    elif damage == "array gone":
        regions.unlink()
    else:
        record.write_bytes(record_path(tmp_path, SHARDS[3]).read_bytes())
    missing = missing_shards(tmp_path, SHARDS)
    assert missing == (SHARDS if damage.startswith("array") else [SHARDS[4]])
    for shard in missing:
        write(tmp_path, shard)
    assert missing_shards(tmp_path, SHARDS) == []
    assert_whole(tmp_path, tmp_path / "expected")


def test_another_plan_makes_every_shard_missing(tmp_path: Path) -> None:
    for shard in SHARDS:
        write(tmp_path, shard)
    create_arrays(tmp_path, PLAN)
    assert missing_shards(tmp_path, SHARDS) == []
    create_arrays(tmp_path, {**PLAN, "regions.npy": ((N, REGIONS, DIM), np.float32)})
    assert missing_shards(tmp_path, SHARDS) == SHARDS
    assert not list((tmp_path / "shards").glob("*.json"))


@pytest.mark.parametrize(
    ("shard", "blocks", "said"),
    [
        (range(0, 5), [rows(range(0, 4))], "bytes of the shard were not written"),
        (range(0, 5), [rows(range(0, 6))], "more rows than the shard has"),
        (range(20, 24), [rows(range(20, 24))], "of 23"),
        (range(0, 5), [{**rows(range(0, 5)), "regions.npy": np.zeros((5, 2, 4))}], "rows of shape"),
        (range(0, 5), [{**rows(range(0, 5)), "region_counts.npy": np.zeros(5)}], "does not go into int32"),
        (range(0, 5), [{**rows(range(0, 5)), "region_counts.npy": np.zeros(4, np.int32)}], "unequal length"),
        (range(0, 4), [rows(range(0, 2)), {"regions.npy": rows(range(2, 4))["regions.npy"]}], "arrays"),
    ],
    ids=["too few", "too many", "behind the end", "shape", "type", "length", "names"],
)
def test_a_maker_that_breaks_its_word_is_a_bug(tmp_path: Path, shard: range, blocks: list[Any], said: str) -> None:
    def breaks() -> None:
        with ShardWriter(tmp_path, shard) as writer:
            for block in blocks:
                writer.append(block)

    create_arrays(tmp_path, PLAN)
    with pytest.raises(ValueError, match=said):
        breaks()
    assert read_shard(tmp_path, shard) is None


SLOW_WRITER = """
import sys, time
from pathlib import Path
from tests.data.store.test_shards import PLAN, SHARDS, rows
from lgsf.data.store.shards import ShardWriter, create_arrays, missing_shards
folder = Path(sys.argv[1])
create_arrays(folder, PLAN)
for shard in missing_shards(folder, SHARDS):
    with ShardWriter(folder, shard) as writer:
        for row in shard:
            writer.append(rows(range(row, row + 1)))
            time.sleep(0.02)
    print("made", shard.start, flush=True)
"""


def _until_done(folder: Path, moments: Iterator[float], cwd: Path) -> tuple[list[str], int]:
    """What a writer said that was killed at one moment after the other until it ended by itself; number of kills."""
    said = []
    for kills, moment in enumerate(moments):
        command = [sys.executable, "-c", SLOW_WRITER, str(folder)]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=cwd)
        try:
            out, _ = writer.communicate(timeout=moment)
        except subprocess.TimeoutExpired:
            writer.kill()
            out, _ = writer.communicate()
        said += out.splitlines()
        if writer.returncode != -signal.SIGKILL:
            assert writer.returncode == 0
            return said, kills
    raise AssertionError("it never ended")


@pytest.mark.slow
def test_twenty_kills_at_any_moment_end_with_the_same_bytes(tmp_path: Path, repository: Path) -> None:
    """A shard that was whole is never made twice, but for a kill between its end and the word about it."""
    started = time.monotonic()
    _until_done(tmp_path / "undisturbed", iter([60.0]), repository)
    whole = time.monotonic() - started
    assert_whole(tmp_path / "undisturbed", tmp_path / "expected")
    random, kills = np.random.default_rng(0), 0
    for attempt in range(40):
        folder = tmp_path / f"killed{attempt}"
        said, more = _until_done(folder, iter([*random.uniform(0.3 * whole, whole, 30), 60.0]), repository)
        assert len(said) == len(set(said))
        assert_whole(folder, tmp_path / "expected")
        kills += more
        if kills >= 20:
            return
    raise AssertionError(f"only {kills} kills")


def _adopt(folder: Path, root: Path, store: Store) -> None:
    """Fill three splits in shards and make a dataset of them."""
    images = pd.DataFrame({"image_id": [str(i) for i in range(N)], "file_name": ""})
    shape = (N, REGIONS, DIM)
    with DatasetWriter(root, name="s", source={"kind": "test"}, protocol={"folds": 1}, store=store) as writer:
        writer.vocabulary(Vocabulary.build(["a dog"], min_count=1))
        for name, factor in (("train", 2.0), ("dev", 1.0), ("test", 3.0)):  # no image is in two splits
            fill(folder / name, store, factor)
            captions = pd.DataFrame({"caption_id": images["image_id"], "image": np.arange(N), "text": f"a {name} dog"})
            writer.split(
                name, images=images, captions=captions, shape=shape, dtype=np.float32,
                blocks=filled_blocks(folder / name, 4), boxes=False, filled=folder / name,
            )  # fmt: skip


def fill(folder: Path, store: Store, factor: float = 1.0) -> None:
    plan = stored_arrays(store, (N, REGIONS, DIM), np.float32, boxes=False)
    create_arrays(folder, {**plan, "region_counts.npy": ((N,), np.dtype(np.int32))})
    for shard in SHARDS:
        made = rows(shard)
        with ShardWriter(folder, shard) as writer:
            block = stored_block(store, made["regions.npy"].astype(np.float32) * np.float32(factor), None)
            writer.append({**block, "region_counts.npy": made["region_counts.npy"]})


@pytest.mark.parametrize("store", ["as_is", "int8"])
def test_a_dataset_adopts_what_shards_filled_without_a_second_copy(tmp_path: Path, store: Store) -> None:
    folder, root = tmp_path / "filled", tmp_path / "out"
    _adopt(folder, root, store)
    split = open_dataset(root).split("dev")
    np.testing.assert_allclose(split.regions.read(np.arange(N)), rows(range(N))["regions.npy"], atol=0.1)
    np.testing.assert_array_equal(split.region_counts, rows(range(N))["region_counts.npy"])
    names = {"regions.npy"} | ({"region_scales.npy"} if store == "int8" else set())
    for name in names:
        assert (folder / "dev" / name).samefile(root / "dev" / name)
    assert missing_shards(folder / "dev", SHARDS) == []


def test_a_shard_that_is_made_again_leaves_the_dataset_alone(tmp_path: Path) -> None:
    folder, root = tmp_path / "filled", tmp_path / "out"
    _adopt(folder, root, "as_is")
    before = (root / "dev" / "regions.npy").read_bytes()
    with pytest.raises(ValueError, match="belongs to a dataset"), ShardWriter(folder / "dev", SHARDS[0]) as writer:
        writer.append({"regions.npy": np.ones((5, REGIONS, DIM), np.float32)})
    fill(folder / "dev", "as_is")
    with ShardWriter(folder / "dev", SHARDS[0]) as writer:
        writer.append({"regions.npy": np.ones((5, REGIONS, DIM), np.float32)})
    assert (folder / "dev" / "regions.npy").read_bytes() != before == (root / "dev" / "regions.npy").read_bytes()


def test_arrays_of_another_form_are_not_adopted(tmp_path: Path) -> None:
    fill(tmp_path, "as_is")
    plan = stored_arrays("float16", (N, REGIONS, DIM), np.float32, boxes=False)
    with pytest.raises(ValueError, match="is not of shape"):
        adopt(tmp_path, tmp_path / "out", plan)
