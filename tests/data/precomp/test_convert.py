"""Datasets as packs and packs as datasets: there and back byte for byte, and readable by the published loader's rules."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lgsf.cli import main
from lgsf.data.layout import SPLITS, open_dataset
from lgsf.data.precomp import export, restore
from lgsf.data.precomp.convert import convert
from lgsf.system.errors import LgsfError
from tests.support.packs import SPLITS as PACK_SPLITS
from tests.support.packs import write_pack

pytestmark = pytest.mark.seconds


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows per block, so that every test crosses the border of a block."""
    for module in (export, restore):
        monkeypatch.setattr(module, "BLOCK_BYTES", 2 * 4 * 15)


class PublishedReader:
    """The rules of SCAN's data.py (PrecompDataset), line for line, without its tokenizer; nothing of ours is used."""

    def __init__(self, data_path: Path, data_split: str) -> None:
        loc = str(data_path) + "/"
        self.captions: list[str] = []
        with open(loc + f"{data_split}_caps.txt", "rb") as f:  # noqa: PTH123
            for line in f:
                self.captions.append(line.strip().decode("utf-8"))
        self.images = np.load(loc + f"{data_split}_ims.npy")
        self.length = len(self.captions)
        if self.images.shape[0] != self.length:
            self.im_div = 5
        else:
            self.im_div = 1
        if data_split == "dev":
            self.length = 5000

    def __getitem__(self, index: int) -> tuple[npt.NDArray[Any], str, int, int]:
        img_id = index // self.im_div
        return self.images[img_id], self.captions[index], index, img_id


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def of_the_layout(folder: Path) -> dict[str, bytes]:
    """The files of a pack without our own folder beside them."""
    return {name: content for name, content in files(folder).items() if not name.startswith("store/")}


def pack_with_everything(folder: Path, *, ids: str = "once", boxes: str | None = "float16") -> Path:
    """Images of train once and of dev and test repeated, five captions each."""
    write_pack(folder, per_image=5, dtype=np.float16)
    for prefix, n in PACK_SPLITS.items():
        copies = 1 if prefix == "train" else 5
        if ids != "none":
            lines = [f"{prefix}{i}.jpg" for i in range(n) for _ in range(5 if ids == "repeated" else 1)]
            (folder / f"{prefix}_ids.txt").write_text("\n".join(lines) + "\n")
        if boxes:
            values = np.zeros((n, 3, 4), boxes)
            for i in range(n):
                values[i, : 1 + i % 3] = [0.125, 0.25, 0.5, 0.1 * (i % 3) + 0.7]
            np.save(folder / f"{prefix}_boxes.npy", values.repeat(copies, axis=0))
    return folder


@pytest.mark.parametrize(("ids", "boxes"), [("once", "float16"), ("repeated", "float32"), ("none", None)])
def test_a_pack_comes_back_byte_for_byte(tmp_path: Path, ids: str, boxes: str | None) -> None:
    pack = pack_with_everything(tmp_path / "pack", ids=ids, boxes=boxes)
    convert(pack, tmp_path / "dataset", {"min_count": 1, "name": "mine", "features": "BUTD"})
    assert open_dataset(tmp_path / "dataset").name == "mine"
    said = convert(tmp_path / "dataset", tmp_path / "again", {})
    assert "15 images with 5 captions each" in said
    assert of_the_layout(tmp_path / "again") == files(pack)


@pytest.mark.parametrize("rows", ["once", "repeated"])
def test_a_dataset_comes_back_byte_for_byte(tmp_path: Path, rows: str) -> None:
    dataset = made(tmp_path)
    convert(dataset, tmp_path / "their", {"rows": rows, "test": "testall"})
    said = convert(tmp_path / "their", tmp_path / "again", {"test": "testall"})
    assert files(tmp_path / "again") == files(dataset)
    assert said == f"{tmp_path / 'again'}: the dataset 'mine' again, every file as its manifest promises."


@pytest.mark.parametrize("rows", ["once", "repeated"])
def test_the_published_reader_reads_it(tmp_path: Path, rows: str) -> None:
    dataset = made(tmp_path)
    convert(dataset, tmp_path / "their", {"rows": rows})
    for name in SPLITS:
        ours, theirs = open_dataset(dataset).split(name), PublishedReader(tmp_path / "their", name)
        assert theirs.im_div == (1 if rows == "repeated" else 5)
        assert len(theirs.captions) == len(ours.captions)
        regions = ours.regions.read(np.arange(len(ours.images)))
        for index, row in enumerate(ours.captions.itertuples()):
            image, caption, _, img_id = theirs[index]
            assert caption == row.text
            assert img_id == (row.image if rows == "once" else index)
            np.testing.assert_array_equal(image, regions[row.image])


def made(tmp_path: Path) -> Path:
    """A dataset from a pack."""
    convert(pack_with_everything(tmp_path / "pack"), tmp_path / "dataset", {"min_count": 1, "name": "mine"})
    return tmp_path / "dataset"


def test_captions_beyond_the_layout(tmp_path: Path, tiny_dataset: Path) -> None:
    """One to four captions per image do not fit; the first of each do, and then no one claims that nothing is lost."""
    with pytest.raises(
        LgsfError, match=r"tiny/train: images have 1 to 4 captions .*set captions_per_image to 1 to keep"
    ):
        convert(tiny_dataset, tmp_path / "pack", {})
    with pytest.raises(LgsfError, match=r"has 1 captions and captions_per_image is 2; lower it to 1"):
        convert(tiny_dataset, tmp_path / "pack", {"captions_per_image": 2})
    assert not (tmp_path / "pack").exists()
    said = convert(tiny_dataset, tmp_path / "pack", {"captions_per_image": 1})
    assert "further captions were left out" in said and not (tmp_path / "pack" / "store").exists()
    convert(tmp_path / "pack", tmp_path / "again", {"captions_per_image": 1, "min_count": 1})
    ours, again = open_dataset(tiny_dataset).split("test"), open_dataset(tmp_path / "again").split("test")
    assert again.images["image_id"].tolist() == ours.images["image_id"].tolist()
    firsts = ours.captions.groupby("image").first()["text"].tolist()
    assert again.captions["text"].tolist() == firsts
    np.testing.assert_array_equal(again.region_counts, ours.region_counts)


def _append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("file", "damage", "sentence"),
    [
        ("dev_ims.npy", lambda p: p.write_bytes(p.read_bytes()[:-1]), r"dev_ims.npy is truncated"),
        ("test_ims.npy", _flip, r"test_ims.npy was changed since the pack was written"),
        ("train_boxes.npy", _flip, r"train_boxes.npy was changed since"),
        ("test_ims.npy", lambda p: np.save(p, np.load(p)[:-1]), r"has 19 rows for 4 images"),
        ("train_caps.txt", lambda p: _append(p, "one more\n"), r"train_caps.txt holds other captions than when"),
        ("train_ims.npy", lambda p: p.unlink(), r"train_ims.npy is missing"),
        ("store/dev/captions.parquet", _flip, r"captions.parquet was changed since"),
        ("store/dev/images.parquet", lambda p: p.unlink(), r"images.parquet is missing"),
        ("store/dataset.json", lambda p: p.write_text("{"), r"dataset.json is not valid JSON"),
        ("store/vocabulary.json", lambda p: p.write_text("[]"), r"vocabulary.json"),
        ("store/vocabulary.json", _flip, r"vocabulary.json is not what was written there"),
    ],
)  # fmt: skip
def test_what_was_changed_in_a_pack_is_found(
    tmp_path: Path, file: str, damage: Callable[[Path], object], sentence: str
) -> None:
    convert(made(tmp_path), tmp_path / "their", {})
    damage(tmp_path / "their" / file)
    before = files(tmp_path / "their")
    with pytest.raises(LgsfError, match=sentence) as raised:
        convert(tmp_path / "their", tmp_path / "again", {})
    assert str(raised.value).endswith(".") and "\n" not in str(raised.value)
    assert files(tmp_path / "their") == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dataset", "pack", "their"]


def test_a_dataset_with_other_words_becomes_no_pack(tmp_path: Path) -> None:
    dataset = made(tmp_path)
    _flip(dataset / "vocabulary.json")
    with pytest.raises(LgsfError, match=r"vocabulary.json is not what was written there"):
        convert(dataset, tmp_path / "their", {})
    assert not (tmp_path / "their").exists()


def test_an_edited_pack_is_read_as_itself_without_its_store(tmp_path: Path) -> None:
    convert(made(tmp_path), tmp_path / "their", {})
    path = tmp_path / "their" / "test_caps.txt"
    path.write_text(path.read_text().replace("runs", "walks"))
    shutil.rmtree(tmp_path / "their" / "store")
    convert(tmp_path / "their", tmp_path / "again", {"min_count": 1})
    assert "walks" in open_dataset(tmp_path / "again").split("test").captions["text"][0]


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    dataset = made(tmp_path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.tex").write_text("x")
    for source, out in ((dataset, "taken"), (tmp_path / "pack", "taken"), (dataset, "taken/thesis.tex")):
        with pytest.raises(LgsfError, match=r"exists and is not an empty folder; choose another --out"):
            convert(source, tmp_path / out, {})
    assert files(tmp_path / "taken") == {"thesis.tex": b"x"}


def test_what_a_killed_conversion_left_is_cleared(tmp_path: Path) -> None:
    dataset = made(tmp_path)
    gone = subprocess.Popen(["true"])
    gone.wait()
    (tmp_path / f".their.partial-{gone.pid}").mkdir()
    (tmp_path / f".their.partial-{os.getppid()}").mkdir()  # somebody is still at work
    convert(dataset, tmp_path / "their", {})
    assert {p.name for p in tmp_path.glob(".their*")} == {f".their.partial-{os.getppid()}"}


@pytest.mark.parametrize(
    ("source", "settings", "sentence"),
    [
        ("gone", {}, "gone: there is no such folder; give a dataset or a pack"),
        ("dataset", {"row": "once"}, "--settings: unknown key 'row'"),
        ("dataset", {"test": "../x"}, "--settings: test: "),
        ("pack", {"captions_per_image": 4}, "captions_per_image 4"),
        ("pack", {"rows": "once"}, "--settings: unknown key 'rows'"),
    ],
)
def test_one_sentence_for_what_cannot_be(tmp_path: Path, source: str, settings: dict[str, Any], sentence: str) -> None:
    made(tmp_path)
    with pytest.raises(LgsfError, match=sentence):
        convert(tmp_path / source, tmp_path / "out", settings)
    assert not (tmp_path / "out").exists()


def test_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = made(tmp_path)
    main(["convert", "--source", str(dataset), "--out", str(tmp_path / "their"), "--settings", '{"rows": "once"}'])
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'their'}: a pack of 15 images with 5 captions each; store/")
    with pytest.raises(SystemExit) as raised:
        main(["convert", "--source", str(dataset), "--out", str(tmp_path / "their")])
    assert raised.value.code == 2


@pytest.mark.shared
@pytest.mark.xdist_group("flickr8k")
def test_the_real_pack_comes_back_byte_for_byte(
    flickr8k: Path, shared_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "BLOCK_BYTES", 32 << 20)
    pack = shared_path / "data" / "f8k_precomp"
    convert(flickr8k, tmp_path / "again", {})
    layout = {p.name for p in pack.iterdir() if not p.name.endswith("Annotations.txt")}
    again = tmp_path / "again"
    assert {p.name for p in again.iterdir()} == layout | {"store"}
    for name in layout:
        assert (again / name).read_bytes() == (pack / name).read_bytes(), name
