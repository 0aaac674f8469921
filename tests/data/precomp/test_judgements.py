"""Human judgements of Flickr8k beside a pack: grades, rows, other splits, and a sentence for what is wrong."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from lgsf.data.layout import open_dataset
from lgsf.data.precomp.judgements import read_judgements
from lgsf.data.precomp.prepare import prepare
from lgsf.system.errors import LgsfError
from tests.support.packs import SPLITS, settings, write_pack

IMAGES = pd.DataFrame({"image_id": ["a.jpg", "b.jpg"]})
CAPTIONS = pd.DataFrame({"caption_id": ["a.jpg#0", "a.jpg#1", "b.jpg#0", "b.jpg#1"]})
EXPERT = "a.jpg\tb.jpg#0\t1\t1\t2\nb.jpg\tb.jpg#1\t4\t4\t3\nb.jpg\tz.jpg#0\t1\t1\t1\nz.jpg\tb.jpg#0\t1\t1\t1\n"
CROWD = "a.jpg\ta.jpg#1\t0.6666667\t2\t1\n"


def write(folder: Path, *, expert: str = "", crowd: str = "") -> Path:
    for name, text in (("ExpertAnnotations.txt", expert), ("CrowdFlowerAnnotations.txt", crowd)):
        if text:
            (folder / name).write_text(text)
    return folder


def test_grades_and_rows(tmp_path: Path) -> None:
    table, files = read_judgements(write(tmp_path, expert=EXPERT, crowd=CROWD), IMAGES, CAPTIONS)
    assert table[["image", "caption", "kind"]].values.tolist() == [[0, 2, "expert"], [1, 3, "expert"], [0, 1, "crowd"]]
    assert table["grade"].tolist() == pytest.approx([4 / 3, 11 / 3, 2 / 3])
    assert [file.name for file in files] == ["ExpertAnnotations.txt", "CrowdFlowerAnnotations.txt"]


def test_no_files_no_judgements(tmp_path: Path) -> None:
    assert read_judgements(tmp_path, IMAGES, CAPTIONS) == (None, [])


@pytest.mark.parametrize(
    ("expert", "crowd", "sentence"),
    [
        ("a.jpg\tb.jpg#0\t1\t1\n", "", r"ExpertAnnotations.txt, line 1: .* three ratings from 1 to 4"),
        (EXPERT + "a.jpg\tb.jpg#1\t1\t5\t1\n", "", r"line 5: .* is not image, caption and three ratings"),
        ("", "a.jpg\tb.jpg#0\t0.5\t2\t1\n", r"CrowdFlowerAnnotations.txt, line 1: .* share of yes"),
        ("", "a.jpg\tb.jpg#0\tmany\t2\t1\n", r"line 1: .* share of yes"),
        (EXPERT + "a.jpg\tb.jpg#0\t2\t2\t2\n", "", r"image row 0 and caption row 2 are judged twice"),
        ("0\t1#0\t1\t1\t1\n", "", r"none of its images is in the test split, whose ids look like 'a.jpg'"),
    ],
)
def test_one_sentence_for_what_is_wrong(tmp_path: Path, expert: str, crowd: str, sentence: str) -> None:
    with pytest.raises(LgsfError, match=sentence):
        read_judgements(write(tmp_path, expert=expert, crowd=crowd), IMAGES, CAPTIONS)


def test_a_pack_carries_them_in_its_test_split(tmp_path: Path) -> None:
    folder = write_pack(tmp_path / "pack")
    for prefix, count in SPLITS.items():
        (folder / f"{prefix}_ids.txt").write_text("".join(f"{prefix}{i}.jpg\n" for i in range(count)))
    write(folder, expert="test1.jpg\ttest0.jpg#1\t1\t2\t2\ntrain1.jpg\ttest0.jpg#1\t1\t2\t2\n")
    prepare(settings(folder), name="mine", root=tmp_path / "out")
    dataset = open_dataset(tmp_path / "out")
    judged = dataset.split("test").judged
    assert judged[["image", "caption", "kind"]].values.tolist() == [[1, 1, "expert"]]
    assert dataset.split("dev").judged is None and dataset.split("train").judged is None
    assert "ExpertAnnotations.txt" in dataset.manifest["source"]["sha256"]
    assert "judged.parquet" in dataset.manifest["splits"]["test"]["sha256"]


@pytest.mark.shared
def test_the_real_files(shared_path: Path) -> None:
    folder = shared_path / "data" / "f8k_precomp"
    ids = (folder / "test_ids.txt").read_text().split()
    captions = pd.DataFrame({"caption_id": [f"{name}#{k}" for name in ids for k in range(5)]})
    table, _ = read_judgements(folder, pd.DataFrame({"image_id": ids}), captions)
    assert table["kind"].value_counts().to_dict() == {"crowd": 47_830, "expert": 5_822}
    own = table[table["image"] == table["caption"] // 5]
    assert own["kind"].value_counts().to_dict() == {"crowd": 721, "expert": 158}
    assert own.groupby("kind")["grade"].mean().gt(table.groupby("kind")["grade"].mean() + 0.5).all()
