"""Word vectors: every format gives the same rows, and a file that does not fit is one sentence."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from baselines.scan import SCAN
from baselines.sgraf import SGRAF
from baselines.vse_inf import VSEInfinity
from baselines.vsepp import VSEPP
from baselines.vsrn import VSRN
from lgsf.data.text import SPECIAL_WORDS, Vocabulary
from lgsf.models.base import DataSpec, Method
from lgsf.models.lgsf import LGSF
from lgsf.models.pretrained import Pretrained
from lgsf.pretrained.word_vectors import read_word_vectors
from lgsf.system.errors import LgsfError

VOCABULARY = Vocabulary([*SPECIAL_WORDS, "a", "red", "star", "unheard"], 1)
LINES = ["the 9 9 9", "star 1 -2.5 3e-2", "a 0.5 0 0", "<pad> 8 8 8", "a 7 7 7", ". . 1 2 3", "red 4 5 6"]
EXPECTED = {7: [1.0, -2.5, 0.03], 5: [0.5, 0.0, 0.0], 6: [4.0, 5.0, 6.0]}


def text(folder: Path) -> Path:
    path = folder / "glove.txt"
    path.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    return path


def compressed(folder: Path) -> Path:
    path = folder / "glove.txt.gz"
    path.write_bytes(gzip.compress(text(folder).read_bytes()))
    return path


def marked(folder: Path) -> Path:
    """The first word is one of ours, behind a byte order mark."""
    path = folder / "glove.txt"
    path.write_text("\n".join([LINES[6], *LINES[:6]]) + "\n", encoding="utf-8-sig")
    return path


def with_header(folder: Path) -> Path:
    path = folder / "word2vec.txt"
    path.write_text("\n".join([f"{len(LINES)} 3", *LINES]) + "\n", encoding="utf-8")
    return path


def table(folder: Path) -> Path:
    rows = [line.rsplit(" ", 3) for line in LINES]
    pd.DataFrame({"index": [row[0] for row in rows]}).to_parquet(folder / "glove_index.parquet")
    np.save(folder / "glove_emb.npy", np.asfortranarray([row[1:] for row in rows], np.float32))
    return folder


@pytest.mark.parametrize("write", [text, compressed, marked, with_header, table])
def test_every_format(tmp_path: Path, write: Callable[[Path], Path], caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path)
    with caplog.at_level(logging.INFO):
        vectors, record = read_word_vectors(str(path), VOCABULARY, dim=3)
    found = dict(zip(vectors.rows.tolist(), vectors.values, strict=True))
    assert found.keys() == EXPECTED.keys()
    for row, values in EXPECTED.items():
        torch.testing.assert_close(found[row], torch.tensor(values))
    assert (record["words"], record["found"], record["path"]) == (4, 3, str(path))
    assert all(len(digest) == 64 for digest in record["sha256"].values())
    assert "vectors for 3 of 4 words (75.0 %)" in caplog.text


def write(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text, encoding="utf-8")


BROKEN: list[tuple[Callable[[Path], object], str]] = [
    (lambda path: None, "is no file, and no folder with"),
    (lambda path: path.mkdir(), "is no file, and no folder with"),
    (write("a 1 2\n"), r"holds vectors of 2 numbers and word_dim is 3: set word_dim: 2"),
    (write("1000 50\na 1 2 3\n"), "holds vectors of 50 numbers"),
    (write("a 1 2 3\nred 1 2\n"), "line 2: not a word and 3 numbers"),
    (write("a 1 2 3\nred 1 2 x\n"), "line 2: not a word"),
    (write("a 1 2 3\nred 1 nan 2\n"), "the vector of 'red' is not finite"),
    (write("b 1 2 3\n"), "for none of the 4 words"),
    (lambda path: path.write_bytes(b"a 1 2 3\n\xff\xfe 1 2 3\n"), "not a word and 3 numbers"),
]


@pytest.mark.parametrize(("make", "sentence"), BROKEN)
def test_what_does_not_fit_is_one_sentence(tmp_path: Path, make: Callable[[Path], object], sentence: str) -> None:
    make(tmp_path / "vectors")
    with pytest.raises(LgsfError, match=sentence):
        read_word_vectors(str(tmp_path / "vectors"), VOCABULARY, dim=3)


def test_broken_archives_and_tables(tmp_path: Path) -> None:
    path = compressed(tmp_path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(LgsfError, match="not a word and 3 numbers"):
        read_word_vectors(str(path), VOCABULARY, dim=3)
    table(tmp_path)
    with pytest.raises(LgsfError, match="holds vectors of 3 numbers and word_dim is 4"):
        read_word_vectors(str(tmp_path), VOCABULARY, dim=4)
    (tmp_path / "glove_emb.npy").write_bytes(b"nothing")
    with pytest.raises(LgsfError, match=r"not a readable \.npy array"):
        read_word_vectors(str(tmp_path), VOCABULARY, dim=3)
    np.save(tmp_path / "glove_emb.npy", np.zeros((2, 3), np.float32))
    with pytest.raises(LgsfError, match="get both anew"):
        read_word_vectors(str(tmp_path), VOCABULARY, dim=3)


METHODS: dict[type[Method], str] = {
    LGSF: "GloVe-BiGRU", VSEInfinity: "GloVe-BiGRU", SCAN: "GloVe-BiGRU", SGRAF: "GloVe-BiGRU",
    VSEPP: "GloVe-GRU", VSRN: "GloVe-GRU",
}  # fmt: skip


@pytest.mark.parametrize("kind", METHODS)
def test_words_with_a_vector_start_from_it_and_nothing_else_changes(kind: type[Method], tmp_path: Path) -> None:
    vectors, _ = read_word_vectors(str(text(tmp_path)), VOCABULARY, dim=3)
    small = {"embedding_dim": 8, "word_dim": 3}

    def build(options: dict[str, object], pretrained: Pretrained) -> Method:
        torch.manual_seed(0)
        spec = DataSpec(region_dim=5, vocabulary_size=len(VOCABULARY), pretrained=pretrained)
        return kind(kind.Parameters.model_validate(small | options), spec)

    plain = build({}, Pretrained())
    method = build({"word_vectors": "glove.txt"}, Pretrained(word_vectors=vectors))
    assert method.text_encoder_name == METHODS[kind]
    assert plain.text_encoder_name == METHODS[kind].removeprefix("GloVe-")
    ours, theirs = method.state_dict(), plain.state_dict()
    for name, tensor in ours.items():
        if name != "text_encoder.embed.weight":
            assert torch.equal(tensor, theirs[name]), name
    for row in range(len(VOCABULARY)):
        expected = torch.tensor(EXPECTED[row]) if row in EXPECTED else theirs["text_encoder.embed.weight"][row]
        torch.testing.assert_close(ours["text_encoder.embed.weight"][row], expected)
    assert method.text_encoder.embed.weight.requires_grad  # type: ignore[union-attr]
