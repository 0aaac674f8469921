"""Arrays in shards: the file equals one that numpy saves at once, and rows that are half or damaged are found."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lgsf.data.layout import open_dataset
from lgsf.data.source import Store
from lgsf.data.store.encode import Loss, stored_arrays, stored_block
from lgsf.data.store.filled import Filled
from lgsf.data.store.shards import RowsWriter, blocks_of, create_arrays, rows_sha256
from lgsf.data.text import Vocabulary
from lgsf.data.writer import DatasetWriter
from lgsf.system.errors import LgsfError

N, REGIONS, DIM = 23, 3, 4
PLAN = {
    "regions.npy": ((N, REGIONS, DIM), np.dtype(np.float16)),
    "region_counts.npy": ((N,), np.dtype(np.int32)),
    "nothing.npy": ((N, 0), np.dtype(np.float32)),
}
SHARDS = list(blocks_of(range(N), 5))


def rows(shard: range) -> dict[str, np.ndarray]:
    """What the maker of these shards makes: any row is a function of its number."""
    number = np.arange(shard.start, shard.stop)
    regions = number[:, None, None] + np.linspace(0, 1, REGIONS * DIM).reshape(REGIONS, DIM)
    return {
        "regions.npy": regions.astype(np.float16),
        "region_counts.npy": (1 + number % REGIONS).astype(np.int32),
        "nothing.npy": np.zeros((len(number), 0), np.float32),
    }


def create(
    folder: Path, plan: dict[str, Any] = PLAN, *, maker: str = "me", write: tuple[str, ...] = tuple(PLAN)
) -> None:
    create_arrays(folder, plan, maker=maker, write=write)


def write(folder: Path, shard: range, size: int = 2) -> dict[str, str]:
    create(folder)
    with RowsWriter(folder, shard) as writer:
        for block in blocks_of(shard, size):
            writer.append(rows(block))
        return writer.finish()


def assert_whole(folder: Path, expected: Path) -> None:
    """Every array has the bytes that numpy would have saved."""
    expected.mkdir(exist_ok=True)
    for name, values in rows(range(N)).items():
        np.save(expected / name, values)
        assert (folder / name).read_bytes() == (expected / name).read_bytes()


def test_blocks_are_all_rows_once() -> None:
    assert [list(block) for block in blocks_of(range(3, 8), 2)] == [[3, 4], [5, 6], [7]]
    assert list(blocks_of(range(0), 2)) == []


def test_processes_at_once_write_what_numpy_would_save(tmp_path: Path) -> None:
    folder = tmp_path / "split"
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(write, [folder] * len(SHARDS), SHARDS[::-1]))
    assert_whole(folder, tmp_path / "expected")
    for shard, sums in zip(SHARDS[::-1], found, strict=True):
        assert {name: rows_sha256(folder / name, shard) for name in PLAN} == sums


def test_a_writer_that_fails_leaves_the_rows_of_others(tmp_path: Path) -> None:
    sums = [write(tmp_path, shard) for shard in SHARDS]

    def fails() -> None:
        with RowsWriter(tmp_path, SHARDS[2]) as writer:
            writer.append({name: values + values.dtype.type(1) for name, values in rows(range(10, 12)).items()})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fails()
    same = [{name: rows_sha256(tmp_path / name, shard) for name in PLAN} == sums[k] for k, shard in enumerate(SHARDS)]
    assert same == [True, True, False, True, True]
    write(tmp_path, SHARDS[2])
    assert_whole(tmp_path, tmp_path / "expected")


def test_damage_is_seen_in_the_rows_that_it_hit(tmp_path: Path) -> None:
    sums = [write(tmp_path, shard)["regions.npy"] for shard in SHARDS]
    path = tmp_path / "regions.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert [rows_sha256(path, shard) == sums[k] for k, shard in enumerate(SHARDS)] == [True] * 4 + [False]
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(LgsfError, match=r"regions.npy is truncated"):
        rows_sha256(path, SHARDS[0])
    create(tmp_path)  # a file that is no array of the plan is begun anew, and the others stay
    assert rows_sha256(path, SHARDS[0]) != sums[0]
    for shard in SHARDS:
        write(tmp_path, shard)
    assert_whole(tmp_path, tmp_path / "expected")
    with pytest.raises(LgsfError, match=r"regions.npy has 23 rows and not 24"):
        rows_sha256(path, range(20, 24))


def test_another_maker_begins_all_arrays_anew(tmp_path: Path) -> None:
    for shard in SHARDS:
        write(tmp_path, shard)
    create(tmp_path)
    assert_whole(tmp_path, tmp_path / "expected")
    create(tmp_path, maker="another")
    assert not any(np.load(tmp_path / name).any() for name in PLAN)


def test_one_maker_makes_rows_of_one_form(tmp_path: Path) -> None:
    for shard in SHARDS:
        write(tmp_path, shard)
    wider = {**PLAN, "regions.npy": ((N, REGIONS + 1, DIM), np.dtype(np.float16))}
    with pytest.raises(LgsfError, match=r"regions.npy was begun as .*23, 3, 4.* and these photos give .*23, 4, 4"):
        create(tmp_path, wider)
    assert_whole(tmp_path, tmp_path / "expected")


@pytest.mark.parametrize(
    ("shard", "blocks", "said"),
    [
        (range(0, 5), [rows(range(0, 4))], "bytes of the rows were not written"),
        (range(0, 5), [rows(range(0, 6))], "more rows than were asked for"),
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
        with RowsWriter(tmp_path, shard) as writer:
            for block in blocks:
                writer.append(block)
            writer.finish()

    create(tmp_path)
    with pytest.raises(ValueError, match=said):
        breaks()


def _adopt(folder: Path, root: Path, store: Store, images: np.ndarray) -> None:
    """Fill three splits in shards and make a dataset of the rows `images` of each."""
    table = pd.DataFrame({"image_id": images.astype(str), "file_name": ""})
    with DatasetWriter(root, name="s", source={"kind": "test"}, protocol={"folds": 1}, store=store) as writer:
        writer.vocabulary(Vocabulary.build(["a dog"], min_count=1))
        for name, factor in (("train", 2.0), ("dev", 1.0), ("test", 3.0)):  # no image is in two splits
            loss = fill(folder / name, store, factor)
            text = f"a {name} dog"
            captions = pd.DataFrame({"caption_id": table["image_id"], "image": np.arange(len(images)), "text": text})
            writer.split(
                name, images=table, captions=captions, shape=(len(images), REGIONS, DIM), dtype=np.float32,
                blocks=Filled(folder / name, images, loss, 100), boxes=True,
            )  # fmt: skip


def fill(folder: Path, store: Store, factor: float = 1.0) -> Loss:
    plan = stored_arrays(store, (N, REGIONS, DIM), np.float32, boxes=True)
    plan["region_counts.npy"] = ((N,), np.dtype(np.int32))
    create(folder, plan, write=tuple(plan))
    loss = Loss(folder.name, store)
    for shard in SHARDS:
        made = rows(shard)
        regions = made["regions.npy"].astype(np.float32) * np.float32(factor)
        block = stored_block(store, regions, np.full((len(shard), REGIONS, 4), 0.5, np.float32))
        loss.add(regions, block, made["region_counts.npy"])
        with RowsWriter(folder, shard) as writer:
            writer.append({**block, "region_counts.npy": made["region_counts.npy"]})
            writer.finish()
    return loss


@pytest.mark.parametrize("store", ["as_is", "float16", "int8"])
@pytest.mark.parametrize("images", [np.arange(N), np.setdiff1d(np.arange(N), [0, 7, 22])], ids=["all", "some"])
def test_a_dataset_adopts_what_shards_filled(tmp_path: Path, store: Store, images: np.ndarray) -> None:
    """All rows: one file in two places. Some: a file of its own with these rows as they were stored."""
    folder, root = tmp_path / "filled", tmp_path / "out"
    _adopt(folder, root, store, images)
    split = open_dataset(root).split("dev")
    np.testing.assert_allclose(
        split.regions.read(np.arange(len(images))), rows(range(N))["regions.npy"][images], atol=0.1
    )
    np.testing.assert_array_equal(split.region_counts, rows(range(N))["region_counts.npy"][images])
    for name in ("regions.npy", "boxes.npy", *(["region_scales.npy"] if store == "int8" else [])):
        np.save(tmp_path / "expected.npy", np.load(folder / "dev" / name)[images])
        assert (root / "dev" / name).read_bytes() == (tmp_path / "expected.npy").read_bytes()
        assert (folder / "dev" / name).samefile(root / "dev" / name) == (len(images) == N)
    lost = open_dataset(root).manifest["splits"]["dev"].get("store")
    assert (lost is None) == (store == "as_is")


def test_rows_that_are_written_again_leave_the_dataset_alone(tmp_path: Path) -> None:
    folder, root = tmp_path / "filled", tmp_path / "out"
    _adopt(folder, root, "as_is", np.arange(N))
    before = (root / "dev" / "regions.npy").read_bytes()
    ones = {"regions.npy": np.ones((5, REGIONS, DIM), np.float32)}
    with pytest.raises(ValueError, match="belongs to a dataset"), RowsWriter(folder / "dev", SHARDS[0]) as writer:
        writer.append(ones)
    plan = stored_arrays("as_is", (N, REGIONS, DIM), np.float32, boxes=True)
    plan["region_counts.npy"] = ((N,), np.dtype(np.int32))
    create(folder / "dev", plan, write=("regions.npy",))
    with RowsWriter(folder / "dev", SHARDS[0]) as writer:
        writer.append(ones)
        writer.finish()
    assert (folder / "dev" / "regions.npy").read_bytes() != before == (root / "dev" / "regions.npy").read_bytes()
    assert (folder / "dev" / "boxes.npy").samefile(root / "dev" / "boxes.npy")  # nobody was to write there


def test_arrays_of_another_form_are_not_adopted(tmp_path: Path) -> None:
    loss = fill(tmp_path, "as_is")
    plan = stored_arrays("float16", (N, REGIONS, DIM), np.float32, boxes=True)
    with pytest.raises(LgsfError, match=r"regions.npy is not of the form"):
        Filled(tmp_path, np.arange(N), loss, 100).adopt(tmp_path, plan)
