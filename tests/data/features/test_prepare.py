"""Annotations and features of every published format become the dataset, with the ids that ground truth goes by."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from lgsf.data.features import join
from lgsf.data.layout import SPLITS, open_dataset
from lgsf.data.positives import positives_of
from lgsf.data.prepare import prepare
from lgsf.system.errors import LgsfError
from tests.data.annotations.test_real_files import write_karpathy_test
from tests.support.annotation_files import names, write_coco, write_flickr, write_karpathy_coco, write_table
from tests.support.feature_files import DIM, HEIGHT, MOST, WIDTH, boxes, regions, write_folder, write_hdf5, write_tsv

pytestmark = pytest.mark.seconds

FORMATS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "tsv": write_tsv,
    "npz": lambda folder: write_folder(folder, archive=True),
    "npy": lambda folder: write_folder(folder, archive=False),
    **{f"hdf5_{kind}": lambda folder, kind=kind: write_hdf5(folder, kind) for kind in ("per_image", "stacked", "flat")},
}
HAVE_SIZES = ("tsv", "npz")


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two images per block, so that every test crosses the border of a block."""
    monkeypatch.setattr(join, "BLOCK_BYTES", 2 * MOST * DIM * 4)


def karpathy(folder: Path) -> dict[str, Any]:
    return {"format": "karpathy", "path": str(write_karpathy_coco(folder / "dataset_coco.json"))}


def settings(annotations: dict[str, Any], features: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"source": "features", "annotations": annotations, "features": features, "min_count": 1, **more}


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_becomes_the_same_dataset(tmp_path: Path, format_: str) -> None:
    features = {**FORMATS[format_](tmp_path), "name": "BUTD"}
    has_boxes = format_ in HAVE_SIZES
    if format_ in ("hdf5_per_image", "hdf5_flat"):
        features["boxes"] = False  # pixels of images whose size nobody knows
    prepare(settings(karpathy(tmp_path), features, folds=3, licence="CC BY 4.0"), name="coco", root=tmp_path / "out")
    dataset = open_dataset(tmp_path / "out")
    wanted = {"train": ("train", "restval"), "dev": ("val",), "test": ("test",)}
    for split in SPLITS:
        numbers = [number for number, (own, _) in names().items() if own in wanted[split]]
        found = dataset.split(split)
        assert found.images["image_id"].tolist() == list(map(str, numbers))
        assert found.regions.shape == (len(numbers), MOST, DIM)
        assert found.region_counts.tolist() == [len(regions(n)) for n in numbers]
        stored = found.regions.read(np.arange(len(numbers)))
        for row, number in enumerate(numbers):
            np.testing.assert_array_equal(stored[row, : len(regions(number))], regions(number))
            assert not stored[row, len(regions(number)) :].any()
        assert (found.boxes is not None) == has_boxes
        if found.boxes is not None:
            for own, number in zip(found.boxes.read(np.arange(len(numbers))), numbers, strict=True):
                expected = np.minimum(boxes(number) / [WIDTH, HEIGHT, WIDTH, HEIGHT], 1)
                np.testing.assert_allclose(own[: len(expected)], expected, rtol=1e-6)
                assert not own[len(expected) :].any()
        assert found.captions["caption_id"].tolist() == [str(10 * n + k) for n in numbers for k in range(5)]
    source = dataset.manifest["source"]
    assert (source["features"], source["licence"], source["matched_by"]) == ("BUTD", "CC BY 4.0", "image id")
    assert source["left_out"] == {"captions beyond the first 5 of an image": 1}
    assert dataset.manifest["protocol"] == {"folds": 3}
    assert "dataset_coco.json" in source["sha256"] and len(source["sha256"]) >= 2


def test_lxmerts_columns_and_names(tmp_path: Path) -> None:
    prepare(settings(write_coco(tmp_path), write_tsv(tmp_path, lxmert=True) | {"boxes": True}), name="c", root=tmp_path / "out")  # fmt: skip
    dataset = open_dataset(tmp_path / "out")
    assert dataset.manifest["source"]["matched_by"] == "image id as a number"
    first = dataset.split("dev").boxes
    assert first is not None and 0 < first.read(np.array([0])).max() <= 1


def test_groups_know_the_size_of_their_images(tmp_path: Path) -> None:
    prepare(settings(write_coco(tmp_path, year=2017), write_hdf5(tmp_path, "groups")), name="c", root=tmp_path / "out")
    found = open_dataset(tmp_path / "out").split("test").boxes
    assert found is not None and 0.9 < found.read(np.array([0])).max() <= 1


def test_true_boxes_tell_what_the_regions_found(tmp_path: Path) -> None:
    """Of the two true boxes of an image, the first is a region's wherever there are two regions or more."""
    annotations = write_coco(tmp_path)
    prepare(settings(annotations, write_tsv(tmp_path)), name="c", root=tmp_path / "out")
    splits = open_dataset(tmp_path / "out").manifest["splits"]
    with_truth = sorted(names())[:8]
    for split, wanted in (("train", ("train", "restval")), ("dev", ("val",)), ("test", ("test",))):
        own = [number for number in with_truth if names()[number][0] in wanted]
        assert splits[split]["objects"] == 2 * len(own)
        found = sum(len(regions(number)) > 1 for number in own)
        assert splits[split]["proposal_recall"] == pytest.approx(found / (2 * len(own)))


def test_ones_own_table_with_a_folder_and_a_mapping(tmp_path: Path) -> None:
    """Features are called by ids that only id_mapping.json knows."""
    annotations = {"format": "table", "path": str(write_table(tmp_path / "mine.csv"))}
    folder = tmp_path / "features"
    (folder / "sub").mkdir(parents=True)
    for place, number in enumerate(names()):
        np.save(folder / "sub" / f"shot{place}.npy", regions(number)[0].astype(np.float16))
    mapping = {f"shot{place}": f"somewhere/{number}.png" for place, number in enumerate(names())}
    (folder / "id_mapping.json").write_text(json.dumps(mapping))
    prepare(settings(annotations, {"format": "folder", "path": str(folder)}), name="own", root=tmp_path / "out")
    dataset = open_dataset(tmp_path / "out")
    assert dataset.manifest["source"]["matched_by"] == "id of the mapping"
    test = dataset.split("test")
    assert test.regions.shape == (3, 1, DIM) and test.regions.dtype == np.float16
    assert test.images["image_id"].tolist() == [
        f"shots/{n}.png" for n, (split, _) in names().items() if split == "test"
    ]
    stored = test.regions.read(np.array([0]))[0, 0]
    np.testing.assert_array_equal(stored, regions(391895)[0].astype(np.float16))


def test_boxes_in_a_folder_of_their_own(tmp_path: Path) -> None:
    features = write_folder(tmp_path, archive=False)
    (tmp_path / "cocobu_box").mkdir()
    for number in names():
        np.save(tmp_path / "cocobu_box" / f"{number}.npy", boxes(number))
    features["boxes_path"] = str(tmp_path / "cocobu_box")
    prepare(settings(write_coco(tmp_path), features), name="c", root=tmp_path / "out")  # COCO's JSON knows the sizes
    found = open_dataset(tmp_path / "out").split("train").boxes
    assert found is not None and found.read(np.array([1])).max() <= 1


def test_flickr8k_with_its_judgements(tmp_path: Path) -> None:
    annotations = write_flickr(tmp_path)
    folder = tmp_path / "features"
    folder.mkdir()
    for number in names():
        np.save(folder / f"{number}_ab.npy", regions(number))
    test = [f"{n}_ab.jpg" for n, (split, _) in names().items() if split == "test"]
    (tmp_path / "ExpertAnnotations.txt").write_text(
        f"{test[0]}\t{test[1]}.jpg#0\t1\t1\t1\n{test[0]}\t{test[1]}#2\t1\t2\t1\n"
    )
    own = settings(annotations, {"format": "folder", "path": str(folder)}, judgements=str(tmp_path))
    prepare(own, name="flickr8k", root=tmp_path / "out")
    dataset = open_dataset(tmp_path / "out")
    assert dataset.split("test").judged[["image", "caption"]].values.tolist() == [[0, 7]]
    assert dataset.manifest["source"]["left_out"] == {"images in no list": 1}


def test_limits_and_repetition_give_the_same_bytes(tmp_path: Path) -> None:
    own = settings(karpathy(tmp_path), write_tsv(tmp_path), limit_train=3, limit_eval=2)
    for out in ("a", "b", "b"):
        prepare(own, name="c", root=tmp_path / out)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file
    assert [len(open_dataset(tmp_path / "a").split(s).images) for s in SPLITS] == [3, 2, 2]


def test_the_tokenizer_is_that_of_the_settings(tmp_path: Path) -> None:
    pytest.importorskip("rjieba")
    own = settings(karpathy(tmp_path), write_tsv(tmp_path), tokenizer="jieba")
    prepare(own, name="c", root=tmp_path / "out")
    assert open_dataset(tmp_path / "out").vocabulary().tokenizer == "jieba"


def test_the_store_is_that_of_the_settings(tmp_path: Path) -> None:
    prepare(settings(karpathy(tmp_path), write_tsv(tmp_path), store="int8"), name="c", root=tmp_path / "out")
    dataset = open_dataset(tmp_path / "out")
    assert dataset.manifest["splits"]["test"]["dtype"] == "int8"
    stored = dataset.split("test").regions.read(np.array([0]))[0, : len(regions(391895))]
    np.testing.assert_allclose(stored, regions(391895), atol=np.abs(regions(391895)).max() / 100)


def test_folds_must_fit(tmp_path: Path) -> None:
    with pytest.raises(LgsfError, match="3 test images do not divide into 2 equal folds"):
        prepare(settings(karpathy(tmp_path), write_tsv(tmp_path), folds=2), name="c", root=tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"annotations": {"format": "coco", "captions": ["a"]}}, "key 'annotations.lists' is missing; add it"),
        ({"features": {"format": "tsv", "path": "a"}}, "key 'features.paths' is missing"),
        ({"features": {"format": "tsv", "paths": ["a"], "pahts": 1}}, "unknown key 'features.pahts'"),
        ({"features": {"format": "lmdb"}}, "features.format: must be one of 'tsv', 'folder', 'hdf5', not 'lmdb'"),
    ],
)
def test_keys_are_named_as_they_stand_in_the_file(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    own = settings({"format": "karpathy", "path": "a"}, {"format": "tsv", "paths": ["a"]}) | change
    with pytest.raises(LgsfError, match=sentence):
        prepare(own, name="c", root=tmp_path / "out")


@pytest.mark.shared
def test_cxc_and_eccv_caption_find_their_captions(shared_path: Path, tmp_path: Path) -> None:
    """The 25,000 captions of the field by their ids alone: COCO's numbers in Karpathy's JSON."""
    path = write_karpathy_test(shared_path / "data" / "coco_text", tmp_path / "dataset_coco.json")
    content = json.loads(path.read_text())
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["features"] = np.arange(1, 10_009, dtype=np.float32).reshape(5004, 1, 2)
        file["image_ids"] = np.array([image["cocoid"] for image in content["images"]])
    for image in content["images"]:  # other words, and another order of captions under their images
        image["sentences"] = [s | {"raw": f"dog {s['sentid']}"} for s in image["sentences"][::-1]]
    path.write_text(json.dumps(content))
    own = settings({"format": "karpathy", "path": str(path)}, {"format": "hdf5", "paths": [str(tmp_path / "a.hdf5")]})
    prepare(own, name="coco", root=tmp_path / "out")
    found, absent = positives_of(open_dataset(tmp_path / "out").split("test"), tmp_path / "out" / "test")
    assert set(found) == {"eccv", "cxc"} and set(absent) == {"true"}


@pytest.mark.slow
def test_memory_stays_at_a_few_rows_however_large_the_pack_is(tmp_path: Path) -> None:
    """A sparse gigabyte of features in one HDF5 array: the peak grows by far less than a tenth of it."""
    annotations = karpathy(tmp_path)
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        array = file.create_dataset("features", (12, 10_000, 2048), np.float32)
        array[:, 0, 0] = np.arange(1, 13)
        file["image_ids"] = np.array(list(names()))
    own = settings(annotations, {"format": "hdf5", "paths": [str(tmp_path / "a.hdf5")]})
    code = (
        "import json, sys\nfrom lgsf.data.prepare import prepare\nfrom pathlib import Path\n"
        "own, root = json.loads(sys.argv[1]), Path(sys.argv[2])\n"
        "prepare(own, name='c', root=root)\n"
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    done = subprocess.run([sys.executable, "-c", code, json.dumps(own), str(tmp_path / "out")], capture_output=True, text=True, check=True)  # fmt: skip
    assert int(done.stdout) / 1024 < 800, done.stdout
