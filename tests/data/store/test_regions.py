"""What is stored comes back: exact where it can be, within half a step of int8, and the same bits for every reader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lgsf.data.batches.training import TrainingBatches, image_batches
from lgsf.data.layout import Split, open_dataset
from lgsf.data.prepare import prepare
from lgsf.data.source import Store
from lgsf.data.store.encode import encode
from lgsf.data.store.regions import RegionReader, decode
from lgsf.data.text import Vocabulary
from lgsf.data.writer import DatasetWriter
from lgsf.evaluation.explain import pair_batch
from lgsf.system.errors import LgsfError

N, REGIONS, DIM = 9, 4, 6
STORES: tuple[Store, ...] = ("as_is", "float16", "int8")


def _features(scale: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """(N, REGIONS, DIM) float32, zero behind ragged counts."""
    rng = np.random.default_rng(0)
    counts = (1 + np.arange(N) % REGIONS).astype(np.int32)
    regions = (rng.normal(scale=scale, size=(N, REGIONS, DIM)) * rng.lognormal(size=(N, REGIONS, 1))).astype(np.float32)
    regions[np.arange(REGIONS) >= counts[:, None]] = 0
    return regions, counts


def _write(root: Path, store: Store, regions: np.ndarray, counts: np.ndarray) -> Split:
    n = len(regions)
    images = pd.DataFrame({"image_id": [str(i) for i in range(n)], "file_name": ""})
    with DatasetWriter(root, name="s", source={"kind": "test"}, protocol={"folds": 1}, store=store) as writer:
        writer.vocabulary(Vocabulary.build(["a dog"], min_count=1))
        for name, factor in (("train", 1.0), ("dev", 0.5), ("test", 0.25)):  # no image is in two splits
            captions = pd.DataFrame({"caption_id": images["image_id"], "image": np.arange(n), "text": f"a {name} dog"})
            own = regions * np.float32(factor)
            blocks = [(own[i : i + 4], counts[i : i + 4], None) for i in range(0, n, 4)]
            writer.split(
                name, images=images, captions=captions, shape=regions.shape, dtype=regions.dtype, blocks=blocks,
                boxes=False,
            )  # fmt: skip
    return open_dataset(root).split("train")


def _naive(folder: Path) -> np.ndarray:
    """What the two files mean, number by number."""
    stored = np.load(folder / "regions.npy")
    if stored.dtype != np.int8:
        return stored.astype(np.float32)
    scales = np.load(folder / "region_scales.npy")
    values = np.zeros(stored.shape, np.float32)
    for place in np.ndindex(stored.shape):
        values[place] = np.float32(stored[place]) * scales[place[:2]]
    return values


@pytest.mark.parametrize("store", STORES)
def test_every_reader_gets_the_same_bits(tmp_path: Path, store: Store) -> None:
    regions, counts = _features()
    split = _write(tmp_path / "out", store, regions, counts)
    expected = _naive(tmp_path / "out" / "train")
    order = np.array([4, 0, 8, 8, 1])
    np.testing.assert_array_equal(split.regions.read(order).astype(np.float32), expected[order])
    (scored, _, _), *_ = image_batches(split, N)
    np.testing.assert_array_equal(scored.numpy(), expected)
    vocabulary = Vocabulary.build(["a dog"], min_count=1)
    (batch,) = TrainingBatches(split, vocabulary, batch_size=N, seed=0).epoch(0)
    np.testing.assert_array_equal(batch.regions.numpy(), expected[batch.image_ids.numpy()])
    explained = pair_batch(split, vocabulary, order, order).regions.numpy()  # trimmed to the longest
    np.testing.assert_array_equal(explained, expected[order, : counts[order].max()])
    drops = {"batch_size": N, "seed": 0, "region_drop": 0.5}
    (batch,) = TrainingBatches(split, vocabulary, **drops).epoch(0)  # type: ignore[arg-type]
    for image, found, mask in zip(batch.image_ids.tolist(), batch.regions, batch.region_mask, strict=True):
        rows = {row.tobytes() for row in expected[image, : counts[image]]}
        assert {row.numpy().tobytes() for row in found[mask]} <= rows
        assert torch.equal(found[~mask], torch.zeros_like(found[~mask]))


@pytest.mark.parametrize("store", STORES)
def test_the_loss_is_measured_and_noted(tmp_path: Path, store: Store) -> None:
    regions, counts = _features()
    split = _write(tmp_path / "out", store, regions, counts)
    facts = open_dataset(tmp_path / "out").manifest["splits"]["train"]
    assert facts["dtype"] == {"as_is": "float32"}.get(store, store)
    assert set(facts["sha256"]) == {path.name for path in (tmp_path / "out" / "train").iterdir()}
    assert ("region_scales.npy" in facts["sha256"]) == (store == "int8")
    found = split.regions.read(np.arange(N)).astype(np.float64)
    if store == "as_is":
        np.testing.assert_array_equal(found, regions)
        assert "store" not in facts
        return
    valid = np.arange(REGIONS) < counts[:, None]
    errors = [np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(found[valid], regions[valid], strict=True)]
    assert facts["store"]["kind"] == store
    assert facts["store"]["mean_relative_error"] == pytest.approx(np.mean(errors))
    assert facts["store"]["largest_relative_error"] == pytest.approx(np.max(errors))
    assert 0 < np.max(errors) < {"float16": 1e-3, "int8": 0.01}[store]


rows = hnp.arrays(np.float32, (2, 3, 5), elements=st.floats(-(2.0**99), 2.0**99, width=32))


@given(rows)
@settings(max_examples=200, deadline=None)
def test_int8_is_within_half_a_step_and_its_largest_number_exact(values: np.ndarray) -> None:
    stored, scales = encode("int8", values)
    assert scales is not None
    assert stored.dtype == np.int8 and stored.min() >= -127
    found = np.empty(stored.shape, np.float32)
    decode(found, stored, scales)
    largest = np.abs(values).max(axis=2, keepdims=True).astype(np.float64)
    # Half a step, and the roundings of a division and a product in float32; what is below 2^-149 has no step.
    assert (np.abs(found.astype(np.float64) - values) <= largest / 254 * (1 + 1e-4) + 1e-43).all()
    assert (stored[np.broadcast_to(largest == 0, stored.shape)] == 0).all()


def test_float16_that_would_overflow_is_one_sentence(tmp_path: Path) -> None:
    regions, counts = _features(scale=1e5)
    with pytest.raises(LgsfError, match=r"split train: the features reach .* float16 ends at 65504; set store"):
        _write(tmp_path / "out", "float16", regions, counts)
    assert not (tmp_path / "out").exists()
    _write(tmp_path / "out", "int8", regions, counts)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda f: (f / "region_scales.npy").unlink(), "region_scales.npy is missing"),
        (lambda f: np.save(f / "region_scales.npy", np.ones((N, REGIONS - 1), np.float32)), "as regions.npy beside it"),
        (lambda f: np.save(f / "region_scales.npy", np.ones((N, REGIONS))), "float64"),
        (lambda f: np.save(f / "regions.npy", np.ones((N, REGIONS, DIM), np.int16)), "dtype int16"),
        (lambda f: np.save(f / "regions.npy", np.ones((N, REGIONS), np.float32)), "not \\(images, regions, dim\\)"),
    ],
    ids=["no scales", "shape of scales", "type of scales", "type", "shape"],
)
def test_files_that_do_not_fit_are_one_sentence(tmp_path: Path, damage: Any, said: str) -> None:
    _write(tmp_path / "out", "int8", *_features())
    damage(tmp_path / "out" / "train")
    with pytest.raises(LgsfError, match=f"{said}.*prepare the dataset again"):
        RegionReader(tmp_path / "out" / "train")


def test_a_dataset_that_is_stored_otherwise_keeps_no_old_scales(tmp_path: Path) -> None:
    _write(tmp_path / "out", "int8", *_features())
    _write(tmp_path / "out", "float16", *_features())
    assert not (tmp_path / "out/train/region_scales.npy").exists()


def test_settings_of_a_source_say_how(tmp_path: Path) -> None:
    """The built-in data, stored as int8: an eighth of a step of the largest number at most in the mean."""
    small = {"source": "scenes", "train": 8, "dev": 8, "test": 8}
    for store in ("as_is", "int8"):
        prepare({**small, "store": store}, name="scenes", root=tmp_path / store)
    exact, coarse = (open_dataset(tmp_path / store) for store in ("as_is", "int8"))
    assert coarse.manifest["splits"]["dev"]["dtype"] == "int8"
    assert 0 < coarse.manifest["splits"]["dev"]["store"]["mean_relative_error"] < 0.02
    assert coarse.manifest["source"] == exact.manifest["source"]
    a, b = (data.split("dev").regions.read(np.arange(8)) for data in (exact, coarse))
    np.testing.assert_allclose(a, b, atol=float(np.abs(a).max()) / 200)
    with pytest.raises(LgsfError, match=r"datasets.scenes: store: .*not 'bfloat16'"):
        prepare({**small, "store": "bfloat16"}, name="scenes", root=tmp_path / "none")
    assert json.loads((tmp_path / "int8" / "dataset.json").read_text())["schema_version"] == 1
