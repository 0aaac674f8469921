"""`lgsf inspect` finds what was planted, with the right figure, and says nothing of sound data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from PIL import Image

from lgsf.cli import main
from lgsf.data.inspection import similar
from lgsf.data.text import Vocabulary
from lgsf.data.writer import DatasetWriter
from lgsf.system.files import read_json

SPLITS = {"train": 300, "dev": 60, "test": 60}
KINDS, REGIONS, DIM, PER_IMAGE = 30, 4, 16, 3
Regions = npt.NDArray[np.float32]
Change = Callable[[dict[str, Regions], dict[str, list[str]]], object]


def sound() -> tuple[dict[str, Regions], dict[str, list[str]]]:
    """Regions and captions of every split: three kinds of thing in an image, and captions that name two of them."""
    rng = np.random.default_rng(7)
    kinds = rng.standard_normal((KINDS, DIM)).astype(np.float32)
    regions, texts = {}, {}
    for split, n in SPLITS.items():
        shown = np.stack([rng.choice(KINDS, REGIONS, replace=False) for _ in range(n)])
        regions[split] = kinds[shown] + 0.2 * rng.standard_normal((n, REGIONS, DIM)).astype(np.float32)
        texts[split] = []
        for row, things in enumerate(shown):
            for k in range(PER_IMAGE):
                a, b = rng.choice(things, 2, replace=False)
                texts[split].append(f"a thing{a} near the thing{b} on picture {row * PER_IMAGE + k} of {split}")
    return regions, texts


def write(root: Path, change: Change | None = None) -> Path:
    regions, texts = sound()
    if change is not None:
        change(regions, texts)
    source = {"kind": "test", "licence": "CC0", "features": "made"}
    with DatasetWriter(root, name="made", source=source, protocol={"folds": 1}) as writer:
        writer.vocabulary(Vocabulary.build([t for own in texts.values() for t in own], min_count=1))
        for split, values in regions.items():
            n = len(values)
            images = pd.DataFrame({"image_id": [f"{split}{k}" for k in range(n)], "file_name": ""})
            owner = np.repeat(np.arange(n, dtype=np.int32), len(texts[split]) // n)
            ids = [f"{split}{k}" for k in range(len(owner))]
            captions = pd.DataFrame({"caption_id": ids, "image": owner, "text": texts[split]})
            writer.split(
                split, images=images, captions=captions, shape=values.shape, dtype=np.float32,
                blocks=[(values, np.full(n, REGIONS, np.int32), None)], boxes=False,
            )  # fmt: skip
    return root


def inspected(root: Path, *options: str) -> dict[str, Any]:
    main(["inspect", str(root), *options])
    found: dict[str, Any] = read_json(root / "inspection.json", hint="inspect")
    return found


def test_sound_data_are_described_and_nothing_is_said_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = inspected(write(tmp_path / "made"))
    assert (found["errors"], found["warnings"]) == ([], [])
    test = found["splits"]["test"]
    assert (test["images"], test["captions"], test["captions_per_image"]) == (60, 180, {"3": 60})
    assert (test["regions_least"], test["regions_mean"], test["regions_most"], test["region_dim"]) == (4, 4.0, 4, 16)
    norms = np.linalg.norm(sound()[0]["test"].astype(np.float64), axis=2)
    for name, value in (
        ("mean", norms.mean()),
        ("deviation", norms.std()),
        ("least", norms.min()),
        ("most", norms.max()),
    ):
        assert test[f"norm_{name}"] == pytest.approx(value, rel=1e-5)
    assert test["fit_of_captions_to_images"] > 10
    assert found["dataset"]["licence"] == "CC0"
    assert found["dataset"]["files with the right checksum"] == 15
    said = capsys.readouterr().out
    assert "Nothing looks wrong." in said
    assert said.strip() == (tmp_path / "made/inspection.md").read_text("utf-8").strip()


def _one_each(regions: dict[str, Regions], texts: dict[str, list[str]]) -> None:
    for split in texts:
        texts[split] = texts[split][::PER_IMAGE]


def test_one_caption_for_each_image(tmp_path: Path) -> None:
    found = inspected(write(tmp_path / "made", _one_each))
    assert (found["errors"], found["warnings"]) == ([], [])
    test = found["splits"]["test"]
    assert test["captions_per_image"] == {"1": 60}
    assert test["fit_of_captions_to_images"] > 5 and test["fit_of_captions_of_an_image"] is None


def _copied(regions: dict[str, Regions], texts: dict[str, list[str]]) -> None:
    regions["train"][17] = regions["test"][5]


def _nearly_copied(regions: dict[str, Regions], texts: dict[str, list[str]]) -> None:
    regions["train"][17] = regions["test"][5] * np.float32(1.001) + np.float32(1e-3)
    regions["train"][20] = regions["train"][40] + np.float32(1e-3)


def _shuffled(regions: dict[str, Regions], texts: dict[str, list[str]]) -> None:
    owners = np.random.default_rng(0).permutation(SPLITS["test"])
    texts["test"] = [texts["test"][PER_IMAGE * k + place] for k in owners for place in range(PER_IMAGE)]


def _mixed(regions: dict[str, Regions], texts: dict[str, list[str]]) -> None:
    texts["test"] = [texts["test"][k] for k in np.random.default_rng(0).permutation(len(texts["test"]))]


def _slid(regions: dict[str, Regions], texts: dict[str, list[str]]) -> None:
    part = slice(PER_IMAGE * 210, PER_IMAGE * 300)
    moved = texts["train"][part]
    texts["train"][part] = [*moved[PER_IMAGE:], *moved[:PER_IMAGE]]


def _dead(regions: dict[str, Regions], texts: dict[str, list[str]]) -> None:
    regions["dev"][3, 1] = 0.0
    regions["dev"][9, :2] = 0.25


def _repeated(regions: dict[str, Regions], texts: dict[str, list[str]]) -> None:
    regions["dev"][:10, 1] = regions["dev"][:10, 0]


def _column(regions: dict[str, Regions], texts: dict[str, list[str]]) -> None:
    regions["test"][..., 2] = 0.0


PLANTED: dict[str, tuple[Change, str]] = {
    "copy": (_copied, "split test: 1 of 60 images (1.7 %) have the features of an image of train bit for bit"),
    "near copy": (_nearly_copied, "train and test: 1 pairs of images have nearly the features of another one (train17 = test5)"),
    "near copy within": (_nearly_copied, "train: 1 pairs of images have nearly the features of another one (train20 = train40)"),
    "shuffled": (_shuffled, "split test: captions fit their images no better than those of other images ("),
    "mixed": (_mixed, "split test: the captions of an image are no more alike than those of several ("),
    "slid": (_slid, "they may have slid."),
    "dead": (_dead, "split dev: 3 of 240 regions (1.2 %) are dead (all zero, or one number throughout), in 2 images, the first is 'dev3'"),
    "repeated": (_repeated, "split dev: 10 of 240 regions (4.2 %) repeat another region of their image bit for bit."),
    "column": (_column, "split test: 1 of 16 features are zero everywhere."),
}  # fmt: skip


@pytest.mark.parametrize(("change", "said"), PLANTED.values(), ids=PLANTED.keys())
def test_what_was_planted_is_found(tmp_path: Path, change: Change, said: str) -> None:
    found = inspected(write(tmp_path / "made", change))
    assert any(said in sentence for sentence in found["warnings"]), found["warnings"]
    assert found["errors"] == []
    assert said in (tmp_path / "made/inspection.md").read_text("utf-8")


def test_damaged_files_are_named_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    root = write(tmp_path / "made")
    with (root / "test/regions.npy").open("r+b") as file:
        file.seek(4000)
        file.write(b"\x12")
    (root / "dev/images.parquet").unlink()
    words = Vocabulary.load(root / "vocabulary.json")
    Vocabulary(words.words[:-1], 1).save(root / "vocabulary.json")
    found = inspected(root)
    for said in (
        f"{root / 'test/regions.npy'} is not what was prepared (its checksum differs)",
        f"{root / 'dev/images.parquet'} is missing",
        f"{root / 'dev'} cannot be opened and was not looked at",
        "vocabulary.json is not that of dataset.json",
    ):
        assert any(said in sentence for sentence in found["errors"]), found["errors"]
    assert "train" in found["splits"]


def test_no_dataset_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["inspect", str(tmp_path)])
    assert "dataset.json is missing" in capsys.readouterr().err


def test_pictures_that_are_nearly_the_same_are_found(tmp_path: Path) -> None:
    """A photo of test stands in train again: smaller, as another JPEG, and turned by its EXIF data."""
    root, photos = write(tmp_path / "made"), tmp_path / "photos"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for k in range(8):
            small = Image.fromarray(rng.integers(0, 256, (8, 10, 3), np.uint8))
            small.resize((160, 128), Image.Resampling.BICUBIC).save(photos / f"{split}{k}.png")
    with Image.open(photos / "test5.png") as picture:
        picture.resize((120, 96)).save(photos / "train3.jpg", quality=70)
        exif = Image.Exif()
        exif[0x0112] = 6
        picture.rotate(90, expand=True).save(photos / "train6.jpg", exif=exif, quality=80)
    (photos / "train3.png").unlink()
    (photos / "train6.png").unlink()
    (photos / "test7.png").write_bytes(b"no picture")
    Image.new("RGB", (64, 64), "white").save(photos / "test1.png")  # blank pictures are like any other: not compared
    Image.new("RGB", (64, 64), "grey").save(photos / "test2.png")
    found = inspected(root, "--photos", str(photos))
    assert found["splits"]["test"]["pictures"] == 8
    said = "train and test: 2 pairs of images have nearly the picture of another one"
    assert any(said in sentence for sentence in found["warnings"]), found["warnings"]
    assert any("train: 1 pairs" in sentence and "train3 = train6" in sentence for sentence in found["warnings"])
    assert any("split test: 1 of 8 pictures cannot be read, the first is" in s for s in found["warnings"])


def test_a_report_can_go_elsewhere_and_the_dataset_stays_as_it_is(tmp_path: Path) -> None:
    root = write(tmp_path / "made")
    before = {file: file.read_bytes() for file in root.rglob("*") if file.is_file()}
    main(["inspect", str(root), "--out", str(tmp_path / "said")])
    assert {file: file.read_bytes() for file in root.rglob("*") if file.is_file()} == before
    assert {file.name for file in (tmp_path / "said").iterdir()} == {"inspection.json", "inspection.md"}


def test_alike_is_what_a_plain_search_finds_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similar, "ROWS", 7)
    monkeypatch.setattr(similar, "COLUMNS", 11)
    rng = np.random.default_rng(0)
    features = rng.standard_normal((60, 40)).astype(np.float32)
    planted = [(3, 50), (8, 9), (0, 59)]
    for a, b in planted:
        features[b] = features[a] + 0.01 * rng.standard_normal(40).astype(np.float32)
    features[30] = 2 * features[31]  # the same direction is not the same image
    mean = features.mean(axis=0)
    found = similar.alike_features(features @ similar.projection(40), lambda rows: features[rows], mean)
    assert sorted(found) == sorted(planted)
    hashes = rng.integers(0, 2**63, (60, 4)).astype(np.uint64)
    hashes[50] = hashes[3] ^ np.uint64(0b11)
    differing = np.bitwise_count(hashes[:, None] ^ hashes[None]).sum(axis=2)
    expected = [(a, b) for a, b in np.argwhere(differing <= similar.SAME_PIXELS).tolist() if a < b]
    assert similar.alike_pictures(hashes) == expected == [(3, 50)]
