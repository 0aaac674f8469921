"""The committed tables are sound, and the mistakes that travel through secondary tables are found when planted."""

from __future__ import annotations

from pathlib import Path

import pytest

from lgsf.system.errors import LgsfError
from lgsf.verdict.published import PROTOCOLS, Published, read_published, read_spread, rows_for


@pytest.fixture(scope="session")
def config(repository: Path) -> Path:
    return repository / "config"


@pytest.fixture(scope="session")
def rows(config: Path) -> list[Published]:
    return read_published(config / "published.csv", config / "published_sources.csv")


def planted(config: Path, folder: Path, old: str, new: str) -> Path:
    """The committed table with one piece of text exchanged."""
    text = (config / "published.csv").read_text()
    assert text.count(old) == 1, old
    path = folder / "published.csv"
    path.write_text(text.replace(old, new))
    return path


def test_the_committed_table(rows: list[Published]) -> None:
    assert len(rows) == 111
    assert {row.protocol for row in rows} == set(PROTOCOLS)
    region = next(r for r in rows if r.key == "vseinf" and r.text == "BiGRU" and r.protocol == "coco1k_5fold")
    assert region.values["i2t_r1"] == 78.5
    assert region.values["rsum"] == pytest.approx(520.8)
    assert region.ensemble is False
    assert region.source == ("VSEINF",)


def test_unpublished_metrics_are_absent(rows: list[Published]) -> None:
    hrem = next(r for r in rows if r.method == "HREM fusion (README)" and r.protocol == "coco5k")
    assert set(hrem.values) == {"i2t_r1", "i2t_r5", "t2i_r1", "t2i_r5"}
    assert hrem.rsum_printed is None


def test_rows_for_a_method_and_protocol(rows: list[Published]) -> None:
    found = rows_for(rows, key="sgr", protocols=["f30k_1k", "coco5k"])
    assert [(row.protocol, row.values["rsum"]) for row in found] == [("coco5k", 419.6), ("f30k_1k", 488.8)]


# what was met in real secondary tables
PLANTED = {
    "an rSum of another dataset": (
        "72.4,355.7,355.7,AMPT",
        "72.4,355.7,409.8,AMPT",
        "rsum_printed is 409.8, but its six recalls sum to 355.7",
    ),
    "a digit exchanged": ("64.6,90.0,95.7", "46.6,90.0,95.7", "rsum is 478.6, but its six recalls sum to 460.6"),
    "a single model in the row of the ensemble": (
        "80.5,96.5,98.8,64.1,90.7,96.5,527.1,527.2",
        "78.1,96.1,98.6,63.5,89.6,95.3,521.2,521.2",
        "the numbers of 'NAAF*' (coco1k_5fold) are those of 'NAAF single' (coco1k_5fold)",
    ),
    "an ensemble without its flag": (
        "SGRAF*,BiGRU,BUTD,1,79.6",
        "SGRAF*,BiGRU,BUTD,0,79.6",
        "'SGRAF*' is written as an ensemble, but ensemble is 0",
    ),
    "another dataset's row": (
        "76.5,94.2,97.7,56.4,83.4,89.9,498.1,498.1",
        "78.5,96.0,98.7,61.7,90.3,95.6,520.8,520.8",
        "the numbers of 'VSE∞ region' (f30k_1k) are those of 'VSE∞ region' (coco1k_5fold)",
    ),
    "the first fold among the means of five": (
        "69.2,93.3,97.5,55.7,86.9,93.8,496.4,496.4",
        "74.8,95.1,98.3,59.9,89.4,95.2,512.7,512.7",
        "(coco1k_5fold) are those of 'CVSE (authors)' (coco1k_first)",
    ),
    "another method's row": (
        "76.1,95.4,98.3,61.8,89.4,95.3,516.3",
        "78.0,95.9,98.5,62.2,89.5,95.4,519.5",
        "the numbers of 'SAF (README)' (coco1k_5fold) are those of 'SAF' (coco1k_5fold)",
    ),
    "another dataset's row, of which four recalls are known": (
        "62.5,87.4,,44.0,73.9,",
        "81.9,96.9,,65.9,91.4,",
        "the numbers of 'HREM fusion (README)' (coco5k) are those of 'HREM fusion (README)' (coco1k_5fold)",
    ),
    "1K and 5K exchanged": (
        "coco5k,sgr,SGR,BiGRU,BUTD,0,56.9,83.2,90.5,40.2,69.0,79.8,419.6",
        "coco5k,sgr,SGR,BiGRU,BUTD,0,86.9,93.2,98.5,40.2,69.0,79.8,467.6",
        "higher i2t_r1 among 5,000 images (86.9) than among 1,000",
    ),
    "columns exchanged": (
        "71.4,92.0,96.1,53.9",
        "92.0,71.4,96.1,53.9",
        "i2t recalls [92.0, 71.4, 96.1] fall as K grows",
    ),
    "the same result twice": ("coco1k_5fold,,SHAN full", "coco1k_5fold,,IMRAM full", "the same result as line"),
    "out of range": ("84.3,97.8,99.2", "84.3,978,99.2", "i2t_r5 is 978, outside 0 to 100"),
    "not a number": ("84.3,97.8,99.2", "84.3,97;8,99.2", "i2t_r5 must be a number, not '97;8'"),
    "NaN": ("84.3,97.8,99.2", "84.3,nan,99.2", "i2t_r5 is nan, outside"),
    "an unknown protocol": ("coco1k_first", "coco1k", "protocol 'coco1k' is unknown; use one of coco1k_5fold"),
    "an unknown source": ("540.9,540.8,AAHR", "540.9,540.8,BLOG", "source 'BLOG' is not in"),
    "a sum without its recalls": (
        "74.9,95.2,,59.4,88.4,,,,AMPT",
        "74.9,95.2,,59.4,88.4,,317.9,,AMPT",
        "rsum must stand exactly where all six recalls do",
    ),
    "a missing comma": ("AAHR,BERT,BUTD,?,84.3", "AAHR,BERT,BUTD,?84.3", "14 fields instead of 15"),
    "an unknown flag": ("AAHR,BERT,BUTD,?,84.3", "AAHR,BERT,BUTD,yes,84.3", "ensemble must be 0, 1 or ?, not 'yes'"),
    "an empty text encoder": ("AAHR,BERT,BUTD,?,84.3", "AAHR,,BUTD,?,84.3", "text is empty"),
}


@pytest.mark.parametrize("mistake", PLANTED)
def test_planted_mistakes_are_found(config: Path, tmp_path: Path, mistake: str) -> None:
    old, new, message = PLANTED[mistake]
    path = planted(config, tmp_path, old, new)
    line = 1 + (config / "published.csv").read_text().partition(old)[0].count("\n")
    with pytest.raises(LgsfError) as caught:
        read_published(path, config / "published_sources.csv")
    assert message in str(caught.value)
    assert f"{path}, line " in str(caught.value)
    assert f"line {line}" in str(caught.value)


def test_other_columns_and_missing_files(config: Path, tmp_path: Path) -> None:
    path = planted(config, tmp_path, "protocol,key", "dataset,key")
    with pytest.raises(LgsfError, match="the columns must be protocol, key"):
        read_published(path, config / "published_sources.csv")
    with pytest.raises(LgsfError, match=r"gone\.csv is missing"):
        read_published(tmp_path / "gone.csv", config / "published_sources.csv")


def test_spread_of_ten_seeds(config: Path, tmp_path: Path) -> None:
    spread = read_spread(config / "published_spread.csv")
    assert {s.key: s.sd["rsum"] for s in spread}["vsrn"] == 5.4
    path = tmp_path / "spread.csv"
    path.write_text((config / "published_spread.csv").read_text().replace("camera,", "sgr,"))
    with pytest.raises(LgsfError, match="key 'sgr' is there twice"):
        read_spread(path)


@pytest.mark.shared
def test_the_table_is_that_of_the_dossier(rows: list[Published], shared_path: Path) -> None:
    import pandas as pd

    theirs = pd.read_csv(shared_path / "research" / "published_numbers.csv")
    assert [row.values.get("t2i_r10") for row in rows] == [None if x != x else x for x in theirs["t2i_r10"]]
    assert [row.values.get("i2t_r1") for row in rows] == theirs["i2t_r1"].tolist()
