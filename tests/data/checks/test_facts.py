"""Data that cannot be what they say: planted mistakes are found, by an error or by a warning with the right figure."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lgsf.cli import main
from lgsf.data.checks.facts import refuse_other_format
from lgsf.data.layout import Dataset, open_dataset
from lgsf.data.precomp.prepare import prepare
from lgsf.data.text import Vocabulary, tokenize
from lgsf.metrics.ranking import MatrixScores, contiguous_folds, rank
from lgsf.metrics.recall import metrics
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_json
from tests.support.packs import SPLITS, captions, features, settings, write_pack


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    return write_pack(tmp_path / "pack")


def prepared(pack: Path, **changes: Any) -> Dataset:
    prepare(settings(pack, **changes), name="mine", root=pack.parent / "out")
    return open_dataset(pack.parent / "out")


def refused(pack: Path, **changes: Any) -> str:
    with pytest.raises(LgsfError) as caught:
        prepared(pack, **changes)
    assert not (pack.parent / "out").exists()
    return str(caught.value)


def write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n", "utf-8")


def perfect(data: Dataset) -> float:
    """rSum of test with a scorer that looks at the features: equal pictures get equal scores."""
    test = data.split("test")
    rows = test.regions.read(np.arange(len(test.images))).reshape(len(test.images), -1)
    scores = -np.abs(rows[:, None] - rows[None, test.caption_image]).sum(axis=2)
    ranking = rank(MatrixScores(scores), test.caption_image, contiguous_folds(len(rows), 1))
    return metrics(ranking.i2t, ranking.t2i)["rsum"]


# --- Splits ------------------------------------------------------------------------------------------------------


def _copy(pack: Path) -> None:
    for kind in ("ims.npy", "caps.txt"):
        shutil.copy(pack / f"dev_{kind}", pack / f"test_{kind}")


def _link(pack: Path, hard: bool = False) -> None:
    for kind in ("ims.npy", "caps.txt"):
        (pack / f"test_{kind}").unlink()
        if hard:
            (pack / f"test_{kind}").hardlink_to(pack / f"dev_{kind}")
        else:
            (pack / f"test_{kind}").symlink_to(pack / f"dev_{kind}")


def _part_of_train(pack: Path) -> None:
    np.save(pack / "test_ims.npy", features("train")[3:7])


def _captions_alone(pack: Path) -> None:
    shutil.copy(pack / "dev_caps.txt", pack / "test_caps.txt")


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (_copy, r"split test: 4 of its 4 images \(100.0 %\) have the features of an image of dev bit for bit"),
        (_link, "test_ims.npy and .*dev_ims.npy are one and the same file"),
        (lambda pack: _link(pack, hard=True), "test_ims.npy and .*dev_ims.npy are one and the same file"),
        (_part_of_train, r"split test: 4 of its 4 images \(100.0 %\) have the features of an image of train"),
        (_captions_alone, "split test: its captions are those of dev, word for word and in the same order"),
    ],
    ids=["copy", "link", "hard link", "part of train", "captions alone"],
)
def test_a_test_split_that_is_another_split_is_refused(pack: Path, plant: Callable[[Path], None], said: str) -> None:
    plant(pack)
    assert re.search(said, refused(pack))


def test_some_images_in_both_splits_are_warned_of_with_a_figure(pack: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = features("test")
    values[2] = features("train")[5]
    np.save(pack / "test_ims.npy", values)
    lines = captions("test", 2)
    lines[4:6] = captions("train", 2)[10:12][::-1]
    write_lines(pack / "test_caps.txt", lines)
    data = prepared(pack)
    checks = data.manifest["splits"]["test"]["checks"]
    assert (checks["images_also_in_train"], checks["images_also_in_dev"]) == (1, 0)
    assert (checks["captions_also_in_train"], checks["caption_sets_also_in_train"]) == (2, 1)
    for sentence in (
        "datasets.mine: split test: 1 of 4 images (25.0 %) have the features of an image of train bit for bit: the "
        "split is not unseen.",
        "datasets.mine: split test: 1 of 4 images (25.0 %) have the very captions of an image of train: the split is "
        "not unseen.",
    ):
        assert sentence in data.manifest["warnings"]
        assert sentence in caplog.text


def test_images_repeated_in_a_row_are_refused_and_the_advice_is_right(tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "pack", per_image=5)
    for prefix in ("dev", "test"):
        np.save(pack / f"{prefix}_ims.npy", features(prefix).repeat(5, axis=0))
    said = refused(pack, captions_per_image=1, train="dev", dev="test", test="train")
    assert "split train: every image stands there 5 times in a row" in said or "has 7 rows" in said
    np.save(pack / "train_ims.npy", features("train").repeat(5, axis=0))
    said = refused(pack, captions_per_image=1)
    assert "every image stands there 5 times in a row" in said
    assert "set captions_per_image to the number of captions of one picture" in said
    assert "5 times" in refused(pack, captions_per_image=1, limit_train=13, limit_eval=12)  # the last one is cut
    data = prepared(pack, captions_per_image=5)
    assert len(data.split("test").images) == SPLITS["test"]
    assert perfect(data) == 600


def test_some_repeated_images_are_warned_of_with_a_figure(pack: Path) -> None:
    values = features("train")
    values[6] = values[0]
    np.save(pack / "train_ims.npy", values)
    data = prepared(pack)
    assert data.manifest["splits"]["train"]["checks"]["repeated_images"] == 1
    assert any(
        "split train: 1 of 7 images (14.3 %) have the features of another" in w for w in data.manifest["warnings"]
    )


# --- Captions ----------------------------------------------------------------------------------------------------

OTHER_FORMATS = {
    "token file": ("1000268201_{i}.jpg#{k}\ta dog runs {i}", "keep what stands behind the tab (cut -f2-)"),
    "table with tabs": ("1000{i}.jpg\ta dog runs {i}{k}", "keep the column of the captions"),
    "numbers and tabs": ("{i}\t{k}\ta dog runs", "keep the column of the captions alone"),
    "CSV": ("1000{i}.jpg,{k},a dog runs", "keep the column of the captions"),
    "results.csv of Flickr30K": ("1000{i}.jpg| {k}| A dog runs {i}.", "keep the column of the captions"),
    "JSON lines": ('{{"image": {i}, "caption": "a dog runs {k}"}}', "write the text of each caption on a line"),
}


@pytest.mark.parametrize(("line", "remedy"), OTHER_FORMATS.values(), ids=OTHER_FORMATS.keys())
def test_lines_of_another_format_are_refused(pack: Path, line: str, remedy: str) -> None:
    write_lines(pack / "dev_caps.txt", [line.format(i=i, k=k) for i in range(4) for k in range(2)])
    said = refused(pack)
    assert said.startswith(f"{pack / 'dev_caps.txt'}: 8 of 8 captions are ")
    assert remedy in said


def test_the_advice_for_a_token_file_leads_to_the_right_captions(pack: Path) -> None:
    """cut -f2- for the captions, the names into the ids file: the dataset is that of the plain pack."""
    plain = prepared(pack).split("dev").captions["text"].tolist()
    lines = [f"{i}.jpg#{k}\t{captions('dev', 2)[2 * i + k]}" for i in range(4) for k in range(2)]
    write_lines(pack / "dev_caps.txt", [line.partition("\t")[2] for line in lines])
    write_lines(pack / "dev_ids.txt", [line.partition("#")[0] for line in lines])
    split = prepared(pack).split("dev")
    assert split.captions["text"].tolist() == plain
    assert split.caption_image.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_ordinary_captions_are_of_no_other_format() -> None:
    ordinary = [
        "A dog runs.",
        "Two men, one woman",
        '"quoted" (twice)',
        "a | b",
        "it says photo.jpg on a sign",
        "[sic]",
    ]
    refuse_other_format(ordinary, "here")
    refuse_other_format(["a\tb", "c", "d"], "here")  # one tab is no table


def test_invisible_characters_change_no_number(pack: Path, caplog: pytest.LogCaptureFixture) -> None:
    plain = prepared(pack)
    words, seen = Vocabulary.load(pack.parent / "out/vocabulary.json").words, {}
    for prefix in SPLITS:
        seen[prefix] = plain.split(prefix).captions["text"].tolist()
        lines = captions(prefix, 2)
        hidden = ["\ufeff" + lines[0], lines[1].replace("dog", "d\u200bog"), *lines[2:]]
        write_lines(pack / f"{prefix}_caps.txt", hidden)
    data = prepared(pack)
    assert Vocabulary.load(pack.parent / "out/vocabulary.json").words == words
    for prefix in SPLITS:
        assert data.split(prefix).captions["text"].tolist() == seen[prefix]
    assert (
        data.manifest["splits"]["train"]["checks"]["cleaned_captions"] == 1
    )  # a mark that begins a file is no caption's
    assert "1 of 14 captions (7.1 %) held characters that nobody sees" in caplog.text


def test_a_caption_of_nothing_but_invisible_characters_is_refused(pack: Path) -> None:
    write_lines(pack / "dev_caps.txt", ["a dog", "\u200b\u2060", *captions("dev", 2)[2:]])
    assert "caption '0#1' of split dev is empty but for characters that nobody sees: remove it" in refused(pack)


def test_unknown_words_are_warned_of_with_a_figure(pack: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = prepared(pack)
    for prefix in ("dev", "test"):  # of "a devdog number 0 runs 1" one word in six is unknown
        assert data.manifest["splits"][prefix]["checks"]["unknown_words"] == pytest.approx(1 / 6)
        assert f"split {prefix}: 8 of 48 words (16.7 %) are not in the vocabulary of train" in caplog.text
    assert data.manifest["splits"]["train"]["checks"]["unknown_words"] == 0


def test_one_endless_caption_is_warned_of(pack: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_lines(pack / "dev_caps.txt", ["a dog " * 350, *captions("dev", 2)[1:]])
    prepared(pack)
    assert "split dev: a caption has 700 words and the mean is 92.8" in caplog.text


# --- Scripts without spaces --------------------------------------------------------------------------------------

SUBJECTS, VERBS, PLACES = (
    ("一只棕色的狗", "两个小女孩", "一名男子"),
    ("正在奔跑", "正在玩耍", "坐着"),
    ("在草地上", "在海滩上", "在街道旁边"),
)


def chinese(prefix: str) -> list[str]:
    """Captions of one sentence without spaces, of words that all splits share."""
    n = 2 * SPLITS[prefix]
    start = {"train": 0, "dev": 5, "test": 11}[prefix]
    return [
        f"{SUBJECTS[k % 3]}{PLACES[k // 3 % 3]}{VERBS[k // 9 % 3]}{'' if prefix == 'train' else '呢'}。"
        for k in range(start, start + n)
    ]


def write_chinese(pack: Path, between: str = "") -> None:
    for prefix in SPLITS:
        lines = chinese(prefix)
        write_lines(
            pack / f"{prefix}_caps.txt", [between.join(tokenize(line, "jieba")) if between else line for line in lines]
        )


def test_chinese_needs_a_tokenizer_that_segments(pack: Path) -> None:
    write_chinese(pack)
    said = refused(pack)
    assert "of the letters of the training captions are of a script without spaces" in said
    assert re.search(r"words of 1\d\.\d letters on average", said)
    assert "set tokenizer: jieba for Chinese, or put spaces between the words" in said


def test_both_advices_for_chinese_lead_to_words(pack: Path) -> None:
    write_chinese(pack)
    data = prepared(pack, tokenizer="jieba")
    segmented = Vocabulary.load(pack.parent / "out/vocabulary.json")
    assert data.manifest["vocabulary"]["tokenizer"] == segmented.tokenizer == "jieba"
    assert {"狗", "草地", "奔跑"} <= set(segmented.words)
    assert data.manifest["splits"]["test"]["checks"]["unknown_words"] < 0.15
    text = data.split("test").captions["text"].iloc[0]
    assert segmented.tokens(text)[1:-1] == tokenize(text, "jieba")
    assert len(segmented.encode(text)) > 6
    write_chinese(pack, between=" ")
    prepared(pack)
    spaced = Vocabulary.load(pack.parent / "out/vocabulary.json")
    assert spaced.tokenizer == "treebank"
    assert {"狗", "草地", "奔跑"} <= set(spaced.words)
    assert segmented.hash != Vocabulary(segmented.words, 1).hash  # the same words, cut in another way


def test_without_the_library_the_sentence_names_the_extra(pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lgsf.data import text

    write_chinese(pack)
    monkeypatch.setitem(__import__("sys").modules, "rjieba", None)
    text._jieba.cache_clear()
    said = refused(pack, tokenizer="jieba")
    assert "install the extra `chinese`, pip install 'lgsf-benchmark[chinese]'" in said


# --- Where it is told --------------------------------------------------------------------------------------------


def test_the_verb_tells_facts_and_warnings_and_runs_carry_them(
    pack: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    given = settings(pack).model_dump_json(exclude_unset=True)
    data = tmp_path / "data"
    main(["prepare", "--name", "mine", "--settings", given, "--out", str(data), "--log", str(tmp_path / "log")])
    told = capsys.readouterr().err
    line = (
        "mine, test: 4 images (0 repeated, 0 also in train, 0 also in dev), 8 captions (images x captions: 4 x 2), "
        "6.0 words per caption, 16.7 % of them unknown"
    )
    assert line in told
    assert line in (tmp_path / "log").read_text("utf-8")
    warnings = json.loads((data / "dataset.json").read_text())["warnings"]
    assert warnings and all(sentence in told for sentence in warnings)
    main(["control", "--kind", "oracle", "--dataset", str(data), "--seed", "0", "--out", str(tmp_path / "run")])
    record = read_json(tmp_path / "run/run.json", hint="run the control")
    assert record["data"]["warnings"] == warnings
    assert record["data"]["splits"]["test"]["checks"]["images_also_in_train"] == 0


def test_sound_data_have_no_warning_but_of_captions_that_recur(tiny_dataset: Path) -> None:
    warnings = open_dataset(tiny_dataset).manifest["warnings"]
    assert all("are also those of another image" in sentence for sentence in warnings), warnings
