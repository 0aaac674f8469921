"""One sentence, naming file and remedy, for every way in which feature files are damaged; what was there stays."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from lgsf.data.features.join import Join
from lgsf.data.layout import open_dataset
from lgsf.data.prepare import prepare
from lgsf.system.errors import LgsfError
from tests.support.annotation_files import names, write_coco, write_karpathy_coco
from tests.support.feature_files import DIM, boxes, regions, tsv_row, write_folder, write_hdf5, write_tsv

Damage = Callable[[Path], Any]


def explains(tmp_path: Path, features: dict[str, Any], sentence: str, *, coco: bool = True) -> str:
    """Prepare over an older dataset: the sentence is right, and the older dataset still opens, whole."""
    root = tmp_path / "out"
    older = root.exists()
    annotations = (
        write_coco(tmp_path)
        if coco
        else {"format": "karpathy", "path": str(write_karpathy_coco(tmp_path / "dataset_coco.json"))}
    )
    settings = {"source": "features", "annotations": annotations, "features": features, "min_count": 1}
    with pytest.raises(LgsfError, match=sentence) as raised:
        prepare(settings, name="c", root=root)
    message = str(raised.value)
    assert message.endswith(".") and "\n" not in message, message
    assert not list(root.glob(".partial*"))
    if older:
        assert open_dataset(root).split("test").regions.read(np.arange(3)).any()
    else:
        assert not root.exists()
    return message


def test_an_older_dataset_survives_a_damaged_pack(tmp_path: Path) -> None:
    features = write_tsv(tmp_path)
    settings = {"source": "features", "annotations": write_coco(tmp_path), "features": features, "min_count": 1}
    prepare(settings, name="c", root=tmp_path / "out")
    own = Path(features["paths"][0])
    content = own.read_bytes().replace(base64.b64encode(regions(391972)), base64.b64encode(np.full_like(regions(391972), np.nan)))  # fmt: skip
    own.write_bytes(content)  # an image of the training split: found while the new dataset is written
    explains(tmp_path, features, r"tsv.0, line 1 \(image 391972\): the features hold NaN or infinity")


def test_a_pack_that_changes_while_it_is_read_is_not_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features = write_tsv(tmp_path)
    path, blocks = Path(features["paths"][1]), Join.blocks

    def meanwhile(self: Join, *arguments: Any) -> Any:
        yield from blocks(self, *arguments)
        path.write_bytes(path.read_bytes() + tsv_row(8))

    monkeypatch.setattr(Join, "blocks", meanwhile)
    assert str(path) in explains(tmp_path, features, "was changed while this was made from it: nothing was published")


def _swap(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Other text for the features of one image."""
    own = base64.b64encode(regions(391895))
    path.write_bytes(path.read_bytes().replace(own, change(own)))


TSV_DAMAGE: list[tuple[str, Damage, str]] = [
    ("cut off", lambda p: p.write_bytes(p.read_bytes()[:-9]), r"tsv.1, line 7 \(image 5\): boxes and features are not"),
    ("columns", lambda p: p.write_bytes(p.read_bytes().replace(b"\t640", b"", 1)), r"tsv.1, line 1 has 5 columns"),
    ("number", lambda p: p.write_bytes(p.read_bytes().replace(b"\t640", b"\twide", 1)), r"line 1: its id, width, height or num"),
    ("no boxes", lambda p: p.write_bytes(p.read_bytes().replace(b"\t480\t", b"\t480\t-", 1)), r"line 1: its id, width"),
    ("header", lambda p: p.write_bytes(b"image_id\timage_w\timage_h\tnum_boxes\tboxes\tfeatures\n" + p.read_bytes()), r"line 1: its"),
    ("other count", lambda p: p.write_bytes(p.read_bytes().replace(b"\t480\t", b"\t480\t1", 1)), r"line 1 .* not those of 1\d boxes"),
    ("not text", lambda p: p.write_bytes(bytes(range(256)) * 40), r"tsv.1, line 1 has \d+ columns"),
    ("twice", lambda p: p.write_bytes(tsv_row(391972).replace(b"640", b"641", 1)), r"line 1: the image 391972 has other feat.*tsv.0"),
    ("nothing new", lambda p: p.write_bytes(tsv_row(391972)), r"tsv.1 holds no image that other files lack"),
    ("empty", lambda p: p.write_bytes(b""), r"tsv.1 holds no image"),
    ("gone", lambda p: p.unlink(), r"tsv.1 is missing: check the path"),
    ("letters", lambda p: _swap(p, lambda text: b"!!!!" + text[4:]), r"line \d \(image 391895\) is not base64"),
    ("bytes literal", lambda p: _swap(p, lambda text: b"b'" + text + b"'"), r"boxes and features are not those of"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "sentence"), [d[1:] for d in TSV_DAMAGE], ids=[d[0] for d in TSV_DAMAGE])
def test_tsv(tmp_path: Path, damage: Damage, sentence: str) -> None:
    features = write_tsv(tmp_path)
    path = Path(features["paths"][1])
    damage(path)
    assert str(path) in explains(tmp_path, features, sentence)


def test_an_endless_line_is_not_read_into_memory(tmp_path: Path) -> None:
    features = write_tsv(tmp_path)
    path = Path(features["paths"][1])
    with path.open("r+b") as file:
        file.truncate(3 << 30)  # sparse zeros behind the last row, and no line end among them
    assert str(path) in explains(tmp_path, features, r"line 8 is longer than 256 MiB, so this is no such TSV")


NPY_DAMAGE: list[tuple[str, Damage, str]] = [
    ("cut off", lambda p: p.write_bytes(p.read_bytes()[:-3]), r"is truncated: its header promises .*copy or extract it again"),
    ("empty", lambda p: p.write_bytes(b""), r"is not a .npy array"),
    ("objects", lambda p: np.save(p, np.array([{}], object), allow_pickle=True), r"is not a C-ordered array of plain numbers"),
    ("doubles", lambda p: np.save(p, np.ones((2, DIM))), r"have dtype float64; convert them to float32 or float16"),
    ("grid", lambda p: np.save(p, np.ones((2, 2, DIM), np.float32)), r"have shape \(2, 2, 5\).*reshape a grid of cells"),
    ("none", lambda p: np.save(p, np.ones((0, DIM), np.float32)), r"have shape \(0, 5\)"),
    ("other size", lambda p: np.save(p, np.ones((2, DIM + 1), np.float32)), r"features of 6 numbers in float32, and .* has 5"),
    ("other type", lambda p: np.save(p, np.ones((2, DIM), np.float16)), r"in float16, and .* has 5 in float32"),
    ("zeros", lambda p: np.save(p, np.zeros((2, DIM), np.float32)), r"are all zero, so the image has no region"),
    ("infinity", lambda p: np.save(p, np.full((2, DIM), np.inf, np.float32)), r"hold NaN or infinity"),
    ("gone", lambda p: p.unlink(), r"1 of 12 images have no features of their own, for example '.*391902.jpg'"),
    ("double", lambda p: np.savez(p.with_suffix(".npz"), feat=regions(1)), r"391902.npz and .*391902.npy stand for one image"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "sentence"), [d[1:] for d in NPY_DAMAGE], ids=[d[0] for d in NPY_DAMAGE])
def test_folder_of_npy(tmp_path: Path, damage: Damage, sentence: str) -> None:
    features = write_folder(tmp_path, archive=False)
    damage(Path(features["path"]) / "391902.npy")
    message = explains(tmp_path, features, sentence)
    assert "391902" in message and features["path"] in message


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[150] ^= 0xFF  # in the first member, "feat"
    path.write_bytes(content)


NPZ_DAMAGE: list[tuple[str, Damage, str]] = [
    ("cut off", lambda p: p.write_bytes(p.read_bytes()[:-3]), r"is not a readable .npz file"),
    ("flipped", _flip, r"is not a readable .npz file \(Bad CRC-32"),
    ("other names", lambda p: np.savez(p, visual=regions(1)), r"holds visual and none of features, feat, x: rename"),
    ("pickle", lambda p: np.savez(p, feat=np.array([{}], object)), r"is not a readable .npz file \(Object arrays cannot"),
    ("no boxes", lambda p: np.savez(p, feat=regions(391902)), r"has no boxes and others have; give them to all"),
    ("few boxes", lambda p: np.savez(p, feat=regions(391902), bbox=boxes(391902)[:1]), r"the boxes have shape \(1, 4\)"),
    ("corners", lambda p: np.savez(p, feat=regions(391902), bbox=boxes(391902)[:, ::-1]), r"a box ends before it begins|reaches beyond"),
    ("outside", lambda p: np.savez(p, feat=regions(391902), bbox=boxes(391902) * 2), r"reaches beyond the image of 640 x 480 pixels"),
    ("nan", lambda p: np.savez(p, feat=regions(391902), bbox=boxes(391902) * np.nan), r"the boxes hold NaN"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "sentence"), [d[1:] for d in NPZ_DAMAGE], ids=[d[0] for d in NPZ_DAMAGE])
def test_folder_of_npz(tmp_path: Path, damage: Damage, sentence: str) -> None:
    features = write_folder(tmp_path, archive=True)
    damage(Path(features["path"]) / "391902.npz")
    assert f"{features['path']}/391902.npz" in explains(tmp_path, features, sentence)


def test_folders_that_are_none(tmp_path: Path) -> None:
    explains(
        tmp_path, {"format": "folder", "path": str(tmp_path / "gone")}, "gone: there is no such folder; set the path"
    )
    (tmp_path / "empty").mkdir()
    explains(tmp_path, {"format": "folder", "path": str(tmp_path / "empty")}, "empty holds no .npy and no .npz file")
    features = write_folder(tmp_path, archive=False)
    explains(tmp_path, features | {"boxes_path": features["path"]}, "the boxes have shape .* is not x0 y0 x1 y1")
    (tmp_path / "ids.json").write_text('{"1": 2}')
    explains(tmp_path, features | {"mapping": str(tmp_path / "ids.json")}, "ids.json: '1' stands for 2, and should for")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4000])


def _edit(change: Callable[[h5py.File], Any]) -> Damage:
    def damage(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            change(file)

    return damage


def _replace(file: h5py.File, name: str, value: Any) -> None:
    del file[name]
    file[name] = value


HDF5_DAMAGE: list[tuple[str, str, Damage, str]] = [
    ("cut off", "stacked", _cut, r"is not a readable HDF5 file \(.*truncated file"),
    ("text", "stacked", lambda p: p.write_text("features"), r"is not a readable HDF5 file"),
    ("gone", "stacked", lambda p: p.unlink(), r"is missing: check the path"),
    ("no ids", "stacked", _edit(lambda f: f.pop("image_ids")), r"does not say which row is which image: .* a pickle is not opened"),
    ("few ids", "stacked", _edit(lambda f: _replace(f, "image_ids", [1, 2])), r"image_ids has 2 ids for the 12 images"),
    ("same ids", "stacked", _edit(lambda f: _replace(f, "image_ids", [1] * 12)), r"the image 1 is in features.paths twice"),
    ("other names", "stacked", _edit(lambda f: f.move("features", "visual")), r"under a known name, only image_ids, visual; name"),
    ("doubles", "stacked", _edit(lambda f: _replace(f, "features", np.ones((12, 2, DIM)))), r"dtype float64; convert"),
    ("zeros", "stacked", _edit(lambda f: f["features"].write_direct(np.zeros((12, 4, DIM), np.float32))), r"are all zero"),
    ("bounds", "flat", _edit(lambda f: _replace(f, "pos_boxes", f["pos_boxes"][()] + 1)), r"pos_boxes is not the first row"),
    ("few rows", "flat", lambda p: (p.parent / "imgid2idx.json").write_text('{"391895": 0}'), r"imgid2idx.json has 1 ids for the 12"),
    ("rows", "flat", lambda p: (p.parent / "imgid2idx.json").write_text('{"391895": 1}'), r"json is neither a list of ids nor an obj"),
    ("boxes", "per_image", _edit(lambda f: _replace(f, "391895_boxes", np.ones((9, 5)))), r"image 391895: the boxes have shape \(9, 5\)"),
    ("no boxes", "per_image", _edit(lambda f: f.pop("391895_boxes")), r"image 391895 has no boxes and others have"),
    ("one gone", "per_image", _edit(lambda f: f.pop("391895_features")), r"1 of 12 images have no features .*391895.jpg"),
    ("group", "per_image", _edit(lambda f: _replace(f, "391895_boxes", np.float32(3))), r"the boxes have shape \(\)"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("layout", "damage", "sentence"), [d[1:] for d in HDF5_DAMAGE], ids=[d[0] for d in HDF5_DAMAGE]
)
def test_hdf5(tmp_path: Path, layout: str, damage: Damage, sentence: str) -> None:
    features = write_hdf5(tmp_path, layout)
    damage(Path(features["paths"][0]))
    message = explains(tmp_path, features, sentence)
    assert features["paths"][0] in message or str(tmp_path / "imgid2idx.json") in message


def test_hdf5_chunks_that_do_not_unpack(tmp_path: Path) -> None:
    features = write_hdf5(tmp_path, "stacked")
    path = Path(features["paths"][0])
    with h5py.File(path) as file:
        chunk = file["features"].id.get_chunk_info(3)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + chunk.size] = bytes(chunk.size)
    path.write_bytes(content)
    assert str(path) in explains(tmp_path, features, "is not a readable HDF5 file .* copy or extract it again")


def test_keys_that_the_user_names(tmp_path: Path) -> None:
    features = write_hdf5(tmp_path, "stacked")
    with h5py.File(features["paths"][0], "r+") as file:
        file.move("features", "visual")
    explains(tmp_path, features | {"features_key": "vis"}, "has no dataset 'vis', only image_ids, visual; correct")
    explains(tmp_path, features | {"features_key": "{id}_v"}, "has nothing like '{id}_v', only image_ids, visual")
    explains(tmp_path, features | {"ids": []}, "features.ids names 0 files for 1 in features.paths")
    settings = {
        "source": "features",
        "annotations": write_coco(tmp_path),
        "features": features | {"features_key": "visual"},
    }
    prepare(settings | {"min_count": 1}, name="c", root=tmp_path / "out")
    assert len(open_dataset(tmp_path / "out").split("train").images) == 6


def test_ids_inside_a_group(tmp_path: Path) -> None:
    features = {"format": "hdf5", "paths": [str(tmp_path / "a.h5")], "features_key": "visual/{id}/pool", "boxes": False}
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number in names():
            file[f"visual/{number}/pool"] = regions(number)
    settings = {"source": "features", "annotations": write_coco(tmp_path), "features": features, "min_count": 1}
    prepare(settings, name="c", root=tmp_path / "out")
    assert open_dataset(tmp_path / "out").split("test").region_counts[0] == len(regions(391895))


def test_pixels_of_images_whose_size_nobody_knows(tmp_path: Path) -> None:
    features = write_hdf5(tmp_path, "per_image")
    explains(tmp_path, features, "the boxes are in pixels, and neither .* set features.boxes to false", coco=False)


def test_ids_as_a_pickle_are_never_opened(tmp_path: Path) -> None:
    features = write_hdf5(tmp_path, "flat")
    bomb = tmp_path / "train36_imgid2idx.pkl"
    bomb.write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "ran").encode() + b"'\ntR.")
    explains(tmp_path, features | {"ids": [str(bomb)]}, "pkl has 4 ids for the 12 images|is not UTF-8|pkl")
    assert not (tmp_path / "ran").exists()
    assert json.loads((tmp_path / "imgid2idx.json").read_text()).keys() == set(map(str, names()))
