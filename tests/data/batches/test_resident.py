"""Features that stay on the device give the batches that reading gives, bit for bit; the log says what was decided."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lgsf.data.batches import resident
from lgsf.data.batches.batch import Batch
from lgsf.data.batches.training import TrainingBatches
from lgsf.data.layout import Split, open_dataset
from lgsf.data.source import Store
from lgsf.data.text import Vocabulary
from lgsf.data.writer import DatasetWriter
from lgsf.training.resume import ResumeState
from lgsf.training.train import train

CPU = torch.device("cpu")
N, REGIONS, DIM = 40, 7, 12
VOCABULARY = Vocabulary.build(["a train dev test dog and some words"], min_count=1)


def written(root: Path, store: Store, *, boxes: bool) -> Split:
    """Ragged regions, signed, some of them zero; boxes of all sizes."""
    random = np.random.default_rng(5)
    counts = random.integers(1, REGIONS + 1, N).astype(np.int32)
    regions = random.standard_normal((N, REGIONS, DIM)).astype(np.float32)
    regions[3, 0] = 0
    regions[np.arange(REGIONS) >= counts[:, None]] = 0
    placed = random.random((N, REGIONS, 4)).astype(np.float32)
    images = pd.DataFrame({"image_id": [str(i) for i in range(N)], "file_name": ""})
    with DatasetWriter(root, name="s", source={"kind": "test"}, protocol={"folds": 1}, store=store) as writer:
        writer.vocabulary(VOCABULARY)
        for name, factor in (("train", 1.0), ("dev", 0.5), ("test", 0.25)):
            text = [f"a {name} dog {'and some words ' * (i % 3)}" for i in range(N)]
            captions = pd.DataFrame({"caption_id": images["image_id"], "image": np.arange(N), "text": text})
            writer.split(
                name, images=images, captions=captions, shape=regions.shape, dtype=regions.dtype,
                blocks=[(regions * np.float32(factor), counts, placed if boxes else None)], boxes=boxes,
            )  # fmt: skip
    return open_dataset(root).split("train")


def same(first: Batch, second: Batch) -> bool:
    for name, one in vars(first).items():
        other = getattr(second, name)
        if (one is None) != (other is None):
            return False
        if one is not None and (one.dtype != other.dtype or one.numpy().tobytes() != other.numpy().tobytes()):
            return False
    return True


@pytest.mark.parametrize("store", ["as_is", "float16", "int8"])
@pytest.mark.parametrize("boxes", [True, False])
def test_batches_have_the_bits_of_those_that_are_read(
    tmp_path: Path, store: Store, boxes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = written(tmp_path / "data", store, boxes=boxes)
    monkeypatch.setattr(resident, "BLOCK", 16)  # the last one is smaller

    def epochs(free: int, workers: int, drop: float) -> list[Batch]:
        monkeypatch.setattr(resident, "free_memory", lambda device: free)
        made = TrainingBatches(
            split, VOCABULARY, batch_size=8, seed=1, region_drop=drop, word_drop=drop, workers=workers, device=CPU
        )
        assert isinstance(made._images, resident.ResidentImages) == (free > 0)
        return [batch for epoch in (0, 3) for batch in made.epoch(epoch)]

    for drop in (0.0, 0.4):
        read = epochs(0, 1, drop)
        for workers in (1, 3):
            stayed = epochs(2**30, workers, drop)
            assert len(stayed) == len(read) == 10
            assert all(map(same, stayed, read))


def test_the_size_is_foreseen_and_the_log_says_what_was_decided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for store, width in (("as_is", 4), ("float16", 2), ("int8", 1)):
        for boxes in (True, False):
            split = written(tmp_path / f"{store}{boxes}", store, boxes=boxes)  # type: ignore[arg-type]
            held = resident.ResidentImages(split, CPU)
            tables = [table for table in (held._table, held._scales, held._boxes) if table is not None]
            assert resident.table_bytes(split) == sum(table.nbytes for table in tables)
            assert held._table.nbytes == (N * REGIONS + 1) * DIM * width
    split = written(tmp_path / "data", "as_is", boxes=False)
    needed = resident.table_bytes(split)
    room = int(needed / resident.SHARE) + 1

    def decided(free: int) -> tuple[bool, str]:
        caplog.clear()
        monkeypatch.setattr(resident, "free_memory", lambda device: free)
        found = resident.resident_images(split, CPU) is not None
        return found, caplog.text.strip()

    assert decided(0) == (False, "")  # a CPU
    stays, said = decided(room)
    assert stays and "40 x 7 x 12 float32, stay on cpu" in said and said.count("\n") == 0
    stays, said = decided(room - 2)
    assert not stays and "may take 60%" in said and "`store: int8` they would take" in said and said.count("\n") == 0
    assert "int8" not in decided(100)[1]  # nothing would help


def test_a_device_whose_memory_was_taken_in_the_meantime_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    split = written(tmp_path / "data", "as_is", boxes=False)
    monkeypatch.setattr(resident, "free_memory", lambda device: 2**30)

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(resident, "ResidentImages", full)
    caplog.set_level(logging.INFO)
    assert resident.resident_images(split, CPU) is None
    assert "which cpu no longer has: batches are read from the disk" in caplog.text


@pytest.mark.seconds
def test_a_run_may_be_resumed_where_there_is_more_or_less_memory(
    tmp_path: Path, tiny_dataset: Path, tiny_config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole without, whole with, and broken after two epochs without and gone on with: the same weights."""
    config = tiny_config(region_drop=0.3, word_drop=0.3)
    saved = ResumeState.save

    def weights(name: str, free: int, break_after: int | None = None) -> bytes:
        monkeypatch.setattr(resident, "free_memory", lambda device: free)
        count = 0

        def save(self: ResumeState, state) -> None:  # type: ignore[no-untyped-def]
            nonlocal count
            saved(self, state)
            count += 1
            if count == break_after:
                raise KeyboardInterrupt

        monkeypatch.setattr(ResumeState, "save", save)
        out = tmp_path / name
        if break_after is None:
            train(config=config, dataset=tiny_dataset, seed=1, out=out)
            return (out / "model.safetensors").read_bytes()
        with pytest.raises(KeyboardInterrupt):
            train(config=config, dataset=tiny_dataset, seed=1, out=out)
        assert (out / ".resume" / "state.pt").is_file()
        return b""

    whole = weights("read", 0)
    assert weights("stayed", 2**30) == whole
    weights("broken", 0, break_after=2)
    assert weights("broken", 2**30) == whole
    assert not (tmp_path / "broken" / ".resume").exists()
