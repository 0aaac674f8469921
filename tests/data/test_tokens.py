"""Captions as numbers, made once by `prepare`: equal to encoding them, for their own vocabulary alone, and checked."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lgsf.data.layout import Dataset, open_dataset
from lgsf.data.text import SPECIAL_WORDS, Vocabulary
from lgsf.data.tokens import FILE, EncodedCaptions, encoded_captions, padded_captions, read_tokens
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_arrays, write_arrays

HEAVY = {"nltk", "scipy.stats", "torch._dynamo"}  # a second of every start each


@pytest.fixture
def data(tiny_dataset: Path, tmp_path: Path) -> Dataset:
    return open_dataset(shutil.copytree(tiny_dataset, tmp_path / "tiny"))


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_what_is_stored_is_what_encoding_gives(data: Dataset, split: str) -> None:
    opened, vocabulary = data.split(split), data.vocabulary()
    assert opened.tokens is not None
    stored = encoded_captions(opened, vocabulary)
    texts = opened.captions["text"].tolist()
    assert len(stored) == len(texts)
    for row, text in enumerate(texts):
        own = slice(stored.offsets[row], stored.offsets[row + 1])
        numbers, words = vocabulary.pieces(text)
        assert stored.tokens[own].tolist() == numbers
        assert stored.words[own].tolist() == words
    made = encoded_captions(replace(opened, tokens=None), vocabulary)
    for one, other in zip(vars(stored).values(), vars(made).values(), strict=True):
        assert one.dtype == other.dtype and np.array_equal(one, other)


def test_another_vocabulary_encodes_the_texts_itself(data: Dataset) -> None:
    opened = data.split("dev")
    other = Vocabulary([*SPECIAL_WORDS, "red"], None)
    got, expected = encoded_captions(opened, other), EncodedCaptions.of(opened.captions["text"].tolist(), other)
    assert np.array_equal(got.tokens, expected.tokens)
    assert not np.array_equal(got.tokens, encoded_captions(opened, data.vocabulary()).tokens)


def test_some_captions_are_those_among_all(data: Dataset) -> None:
    opened, rows = data.split("train"), np.array([7, 0, 3])
    for tokenizer in (data.vocabulary(), Vocabulary([*SPECIAL_WORDS, "red"], None)):
        expected = encoded_captions(opened, tokenizer).padded(rows)
        for one, other in zip(padded_captions(opened, tokenizer, rows), expected, strict=True):
            assert np.array_equal(one, other)


def test_neither_training_nor_ranking_loads_a_tokenizer(tiny_dataset: Path, tiny_config, tmp_path: Path) -> None:
    from lgsf.models.sizing import configured
    from lgsf.system.files import read_json, write_json

    write_json(tmp_path / "c.json", configured(read_json(tiny_config(epochs=1), hint=""), source="test").plain())
    run, data = str(tmp_path / "run/seed0"), str(tiny_dataset)
    train = ["train", "--config", str(tmp_path / "c.json"), "--dataset", data, "--seed", "0", "--out", run]
    for arguments in (train, ["evaluate", "--run", run, "--dataset", data]):
        code = f"import sys; from lgsf.cli import main; main({arguments!r}); print({HEAVY!r} & sys.modules.keys())"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        # torch's optimizers load its compiler; ranking does without
        assert done.stdout.strip() == ("{'torch._dynamo'}" if arguments[0] == "train" else "set()")


def _moved(lengths: np.ndarray) -> np.ndarray:
    """The first caption keeps one token, its others go to the second."""
    return np.array([1, lengths[0] + lengths[1] - 1, *lengths[2:]], lengths.dtype)


FAULTS = {
    "one caption less": lambda arrays: arrays | {"lengths": arrays["lengths"][:-1]},
    "one token less": lambda arrays: arrays | {"tokens": arrays["tokens"][:-1]},
    "a number without a word": lambda arrays: arrays | {"tokens": arrays["tokens"] + 1000},
    "a caption without its frame": lambda arrays: arrays | {"lengths": _moved(arrays["lengths"])},
    "other arrays": lambda arrays: {"tokens": arrays["tokens"]},
    "numbers that are none": lambda arrays: arrays | {"tokens": arrays["tokens"] / 2},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_does_not_fit_is_refused(data: Dataset, fault: str) -> None:
    """Its checksum is that of the manifest, so it was written like this."""
    path = data.root / "dev" / FILE
    n = {"n_captions": len(data.split("dev").captions), "vocabulary_size": len(data.vocabulary())}
    read_tokens(path, **n)
    write_arrays(path, FAULTS[fault](read_arrays(path, hint="")))
    with pytest.raises(LgsfError, match=rf"{FILE} does not .*prepare the dataset again"):
        read_tokens(path, **n)


def test_data_of_an_earlier_version_have_none(data: Dataset) -> None:
    (data.root / "dev" / FILE).unlink()
    manifest = {**data.manifest}
    del manifest["splits"]["dev"]["sha256"][FILE]
    opened = replace(data, manifest=manifest).split("dev")
    assert opened.tokens is None
    assert len(encoded_captions(opened, data.vocabulary())) == len(opened.captions)
