"""Reading a released checkpoint runs nothing of it; old and foreign files are read or refused in a sentence."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from lgsf.pretrained.released import read_released, read_vocabulary
from lgsf.system.errors import LgsfError
from tests.support.released_files import SPECIAL, make_files, write_vocabulary


class Evil:
    """Whoever unpickles this creates a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


class EvilCall(Evil):
    """Whoever unpickles this runs a command."""

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("new_format", [True, False])
@pytest.mark.parametrize("evil", [Evil, EvilCall])
@pytest.mark.parametrize("place", ["epoch", "opt", "model", "stranger"])
def test_nothing_in_the_file_is_run(tmp_path: Path, new_format: bool, evil: type[Evil], place: str) -> None:
    files, target = make_files(tmp_path, "vsepp_max"), tmp_path / "it_ran"
    bomb = evil(target)
    if place == "opt":
        files.content["opt"].margin = bomb
    elif place == "model":
        files.content["model"][0]["fc.weight"] = bomb
    else:
        files.content[place] = bomb
    files.save(_use_new_zipfile_serialization=new_format)
    with pytest.raises(LgsfError, match=r"names (pathlib\S*|posix.system|getattr), which is neither .* nothing of the"):
        read_released(files.checkpoint)
    assert not target.exists()
    torch.load(files.checkpoint, weights_only=False)  # the bomb was a real one
    assert target.exists()


def test_a_plain_pickle_is_not_run_either(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(pickle.dumps(EvilCall(tmp_path / "it_ran"), protocol=2))
    with pytest.raises(LgsfError, match=r"posix.system|cannot be read"):
        read_released(tmp_path / "file")
    assert not (tmp_path / "it_ran").exists()


class Python2Pickler(pickle._Pickler):  # type: ignore[name-defined,misc]
    """Writes text as Python 2 wrote its plain strings."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def save_plain_string(self, text: str) -> None:
        raw = text.encode()
        self.write(pickle.SHORT_BINSTRING + bytes([len(raw)]) + raw)
        self.memoize(text)

    dispatch[str] = save_plain_string


def test_files_of_python_2_are_read(tmp_path: Path) -> None:
    files = make_files(tmp_path, "scan_t2i_lse")
    python2 = SimpleNamespace(__name__="pickle", Pickler=Python2Pickler, dump=pickle.dump)
    files.save(pickle_module=python2, pickle_protocol=2, _use_new_zipfile_serialization=False)
    assert b"U\x0alambda_lse" in files.checkpoint.read_bytes()
    released = read_released(files.checkpoint)
    assert released.option("cross_attn") == "t2i"
    assert torch.equal(released.weights["img_enc.fc.weight"], files.content["model"][0]["fc.weight"])


@pytest.mark.parametrize("score", [np.float64(507.9), np.float32(507.9), torch.tensor(507.9), 507.9])
def test_numbers_of_numpy_and_torch_are_numbers(tmp_path: Path, score: Any) -> None:
    files = make_files(tmp_path, "vsepp_max")
    files.content["best_rsum"] = score
    files.save()
    released = read_released(files.checkpoint)
    assert released.best_score == pytest.approx(507.9)
    assert (released.epoch, released.steps) == (17, 9000)


def test_missing_facts_are_unknown_and_foreign_ones_dropped(tmp_path: Path) -> None:
    files = make_files(tmp_path, "vsepp_max")
    del files.content["epoch"]
    files.content["best_rsum"] = float("nan")
    files.save()
    released = read_released(files.checkpoint)
    assert (released.epoch, released.best_score) == (None, None)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1, 2], "not a checkpoint with 'model' and 'opt'"),
        ({"model": [{}, {}]}, "not a checkpoint with 'model' and 'opt'"),
    ],
)
def test_other_files_of_torch_are_refused(tmp_path: Path, content: Any, said: str) -> None:
    torch.save(content, tmp_path / "file")
    with pytest.raises(LgsfError, match=said):
        read_released(tmp_path / "file")


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    files = make_files(tmp_path, "vsepp_max")
    whole = files.checkpoint.read_bytes()
    for broken in (whole[: len(whole) // 2], b"", b"not a checkpoint"):
        files.checkpoint.write_bytes(broken)
        with pytest.raises(LgsfError, match="cannot be read as torch weights"):
            read_released(files.checkpoint)
    for model, said in (("one dict", "is not the list"), ([{}, {"a": 1}], "txt_enc of 'model' is not a state dict")):
        files.content["model"] = model
        files.save()
        with pytest.raises(LgsfError, match=said):
            read_released(files.checkpoint)


def test_words_keep_the_authors_numbers(tmp_path: Path) -> None:
    path = tmp_path / "vocab.json"
    write_vocabulary(path, [*SPECIAL, "zebra", "ant", "über"])
    words = read_vocabulary(path, size=7, mask_word=False)
    assert words.encode("An ant, a ZEBRA über") == [1, 3, 5, 3, 3, 4, 6, 2]
    assert words.min_count is None
    masked = read_vocabulary(path, size=8, mask_word=True)
    assert masked.words == (*words.words, "<mask>")
    assert read_vocabulary(path, size=7, mask_word=True).words == words.words
    with pytest.raises(LgsfError, match="has 7 words and the checkpoint 8"):
        read_vocabulary(path, size=8, mask_word=False)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"word2idx": {}, "idx2word": {"0": "a", "2": "b"}}, "without gaps"),
        ({"word2idx": {"a": 1}, "idx2word": {"0": "a"}}, "number the words differently"),
        (["a"], "is not a vocabulary"),
        ({"word2idx": {"a": 0}, "idx2word": {"0": "a"}}, "starts with <pad>"),
    ],
)
def test_other_vocabularies_are_refused(tmp_path: Path, content: Any, said: str) -> None:
    (tmp_path / "vocab.json").write_text(json.dumps(content))
    with pytest.raises(LgsfError, match=said):
        read_vocabulary(tmp_path / "vocab.json", size=1, mask_word=False)
