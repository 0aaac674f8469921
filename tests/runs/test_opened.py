"""A run may bring words of its own: they number its captions, and no others can stand in for them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

import lgsf
from lgsf.data.layout import open_dataset
from lgsf.data.text import ENCODING_WORDS, Vocabulary
from lgsf.evaluation.evaluate import evaluate
from lgsf.runs.opened import run_vocabulary
from lgsf.runs.record import read_record
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_arrays, write_json
from lgsf.system.hashes import sha256
from lgsf.training.train import train


@pytest.fixture
def run(tmp_path: Path, tiny_dataset: Path, tiny_config) -> Path:
    train(config=tiny_config(epochs=1), dataset=tiny_dataset, seed=1, out=tmp_path / "run")
    return tmp_path / "run"


def renumber(run: Path, dataset: Path) -> Vocabulary:
    """Give the run its own vocabulary: the dataset's words without <mask>, backwards, and weights to match."""
    words = Vocabulary.load(dataset / "vocabulary.json").words
    kept = (*ENCODING_WORDS, *words[:4:-1])
    own = Vocabulary(kept, 1)
    weights = safetensors.torch.load_file(run / "model.safetensors")
    rows = weights["text_encoder.embed.weight"]
    weights["text_encoder.embed.weight"] = rows[[words.index(word) for word in kept]].contiguous()
    safetensors.torch.save_file(weights, run / "model.safetensors")
    own.save(run / "vocabulary.json")
    record = json.loads((run / "run.json").read_text())
    record["files"]["model.safetensors"] = sha256(run / "model.safetensors")
    record["data"]["vocabulary"] = {"size": len(own), "min_count": 1, "hash": own.hash}
    write_json(run / "run.json", record)
    return own


def test_a_run_without_words_of_its_own_takes_the_datasets(run: Path, tiny_dataset: Path) -> None:
    words = run_vocabulary(run, read_record(run), open_dataset(tiny_dataset)).words
    assert words == Vocabulary.load(tiny_dataset / "vocabulary.json").words


def test_renumbered_words_with_renumbered_weights_change_nothing(run: Path, tiny_dataset: Path) -> None:
    evaluate(run=run, dataset=tiny_dataset, memory_mb=64)
    before = read_arrays(run / "test" / "top.npz", hint="")
    captions = ["a red circle", "a tall star and a quokka"]
    texts = lgsf.load_run(run, tiny_dataset).encode_texts(captions)

    own = renumber(run, tiny_dataset)
    assert run_vocabulary(run, read_record(run), open_dataset(tiny_dataset)).words == own.words
    evaluate(run=run, dataset=tiny_dataset, memory_mb=64)
    after = read_arrays(run / "test" / "top.npz", hint="")
    for scores in ("i2t_score", "t2i_score"):
        np.testing.assert_allclose(after[scores], before[scores], atol=1e-6)
    again = lgsf.load_run(run, tiny_dataset)
    assert again.vocabulary.words == own.words
    torch.testing.assert_close(again.encode_texts(captions).vector, texts.vector, atol=1e-6, rtol=0)


def test_words_that_the_record_does_not_name_are_refused(run: Path, tiny_dataset: Path) -> None:
    own = renumber(run, tiny_dataset)
    Vocabulary((*own.words[:4], *own.words[:3:-1]), 1).save(run / "vocabulary.json")
    for use in (
        lambda: evaluate(run=run, dataset=tiny_dataset, memory_mb=64),
        lambda: lgsf.load_run(run, tiny_dataset),
    ):
        with pytest.raises(LgsfError, match=r"was trained with other words than .*vocabulary.json"):
            use()
    (run / "vocabulary.json").unlink()  # the dataset's words must not slip in
    with pytest.raises(LgsfError, match="was trained with other words than"):
        evaluate(run=run, dataset=tiny_dataset, memory_mb=64)
    (run / "vocabulary.json").write_text("{}")
    with pytest.raises(LgsfError, match=r"not a vocabulary .*import this run again"):
        run_vocabulary(run, read_record(run), open_dataset(tiny_dataset))


@pytest.mark.parametrize(
    ("captions", "said"),
    [
        ("a red dog", "takes a list of captions and was given the text 'a red dog': write [caption]"),
        (b"a red dog", "was given the text"),
        ([b"a red dog"], "takes captions as text, not bytes"),
        (["a", None], "takes captions as text, not NoneType"),
        ([["a", "b"]], "takes captions as text, not list"),
    ],
)
def test_captions_that_are_none(run: Path, tiny_dataset: Path, captions: object, said: str) -> None:
    with pytest.raises(LgsfError) as caught:
        lgsf.load_run(run, tiny_dataset).encode_texts(captions)  # type: ignore[arg-type]
    assert said in str(caught.value)


def test_no_captions_give_no_answers(run: Path, tiny_dataset: Path) -> None:
    opened = lgsf.load_run(run, tiny_dataset)
    some, none = opened.encode_texts(["a red star"]), opened.encode_texts([])
    assert (len(some), len(none)) == (1, 0)
    images = opened.encode_images(torch.rand(3, 5, 10), torch.ones(3, 5, dtype=torch.bool))
    assert opened.search(none, images, k=2).shape == (0, 2)
    assert opened.search(some, images, k=7).shape == (1, 3)
    assert torch.equal(opened.encode_texts(("a red star",)).vector, some.vector)  # any sequence, and any iterator
    with pytest.raises(LgsfError, match="at least 1, not 0"):
        opened.search(some, images, k=0)


@pytest.mark.parametrize(
    ("regions", "mask", "said"),
    [
        (torch.rand(5, 10), torch.ones(1, 5, dtype=torch.bool), r"shape \(n, n_regions, 10\).*one image is regions\[None\]"),
        (torch.rand(1, 5, 9), torch.ones(1, 5, dtype=torch.bool), r"\(n, n_regions, 10\) in floating point and was given \(1, 5, 9\)"),
        (torch.ones(1, 5, 10, dtype=torch.int64), torch.ones(1, 5, dtype=torch.bool), "in floating point"),
        (torch.rand(1, 5, 10), torch.ones(1, 5), r"mask of shape \(1, 5\) bool.*was given \(1, 5\) torch.float32"),
        (torch.rand(1, 5, 10), torch.ones(5, dtype=torch.bool), r"mask of shape \(1, 5\) bool.*was given \(5,\)"),
    ],
)  # fmt: skip
def test_regions_of_another_shape(
    run: Path, tiny_dataset: Path, regions: torch.Tensor, mask: torch.Tensor, said: str
) -> None:
    with pytest.raises(LgsfError, match=said):
        lgsf.load_run(run, tiny_dataset).encode_images(regions, mask)
