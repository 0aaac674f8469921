"""Word pieces: those of transformers' own tokenizer, and which word each belongs to."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lgsf.data.batches.augment import REPLACEMENT_STREAM, WORD_STREAM, uniforms
from lgsf.data.batches.training import TrainingBatches
from lgsf.data.layout import open_dataset
from lgsf.data.wordpiece import WordPieces
from lgsf.pretrained.bert import read_bert
from lgsf.system.errors import LgsfError
from tests.support.berts import PIECES

CAPTIONS = ["a red circle", "A RED  Circle.", "", "star", "a tall square and a circle", "cirred squareer ünused"]


@pytest.fixture(scope="module")
def pieces(tiny_bert: Path) -> WordPieces:
    return WordPieces(read_bert(tiny_bert).tokenizer, longest=64)


def test_pieces_are_those_of_transformers(pieces: WordPieces, tiny_bert: Path) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(str(tiny_bert), local_files_only=True)
    for caption in CAPTIONS:
        assert pieces.pieces(caption)[0] == theirs(caption)["input_ids"], caption


def test_pieces_of_a_word_share_its_number(pieces: WordPieces) -> None:
    numbers, words = pieces.pieces("a circle and squareer")
    assert [PIECES[n] for n in numbers] == ["[CLS]", "a", "cir", "##cle", "and", "squ", "##are", "##er", "[SEP]"]
    assert words == [0, 1, 2, 2, 3, 4, 4, 4, 5]
    assert pieces.pieces("") == ([2, 3], [0, 1])


def test_pieces_have_names(pieces: WordPieces) -> None:
    names = pieces.tokens("a red circle")
    assert len(names) == len(pieces.pieces("a red circle")[0])
    assert (names[0], names[-1]) == ("[CLS]", "[SEP]")
    assert "".join(name.removeprefix("##") for name in names[1:-1]) == "aredcircle"


def test_what_may_stand_in(pieces: WordPieces) -> None:
    assert pieces.mask == 4
    assert pieces.ordinary.tolist() == list(range(5, len(PIECES)))


def test_longer_captions_are_cut_with_a_warning(tiny_bert: Path, caplog: pytest.LogCaptureFixture) -> None:
    short = WordPieces(read_bert(tiny_bert).tokenizer, longest=5)
    assert [PIECES[n] for n in short.pieces("a circle and a star")[0]] == ["[CLS]", "a", "cir", "##cle", "[SEP]"]
    short.pieces("a red red red star")
    assert caplog.text.count("are cut") == 1
    assert short.pieces("a red")[0] == [2, 5, 7, 3]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t.update(post_processor=None), "does not put"),
        (lambda t: t.update(model={"type": "Nonsense"}), "cannot be read"),
        (lambda t: t["model"]["vocab"].pop("[MASK]") and t.update(added_tokens=t["added_tokens"][:-1]), r"\[MASK\]"),
    ],
)
def test_other_tokenizers_are_refused(tiny_bert: Path, change, sentence: str) -> None:  # type: ignore[no-untyped-def]
    tokenizer = json.loads(read_bert(tiny_bert).tokenizer)
    change(tokenizer)
    with pytest.raises(LgsfError, match=sentence):
        WordPieces(json.dumps(tokenizer), longest=64)


def test_augmentation_hits_whole_words_and_never_the_frame(pieces: WordPieces, tiny_dataset: Path) -> None:
    """Batches against a slow version, caption by caption."""
    split = open_dataset(tiny_dataset).split("train")
    seed, chance = 5, 0.4
    seen = {"masked": 0, "replaced": 0, "deleted": 0}
    order = np.random.default_rng((seed, 2)).permutation(len(split.captions))
    batches = TrainingBatches(split, pieces, batch_size=4, seed=seed, word_drop=chance)
    for step, batch in enumerate(batches.epoch(2)):
        for place, row in enumerate(order[4 * step : 4 * step + 4]):
            numbers, words = pieces.pieces(split.captions["text"].iloc[row])
            draw, other = (
                uniforms(seed, 2, stream, np.array([row]), len(numbers))[0]
                for stream in (WORD_STREAM, REPLACEMENT_STREAM)
            )
            spared = max(range(1, words[-1]), key=lambda word, d=draw: d[word])
            expected = []
            for i, (number, word) in enumerate(zip(numbers, words, strict=True)):
                part = draw[word] / chance
                if i in (0, len(numbers) - 1) or part >= 1 or word == spared:
                    expected.append(number)
                elif part < 0.5:
                    expected.append(pieces.mask)
                    seen["masked"] += 1
                elif part < 0.6:
                    expected.append(5 + int(other[i] * (len(PIECES) - 5)))
                    seen["replaced"] += 1
                else:
                    seen["deleted"] += 1
            assert batch.tokens[place, batch.token_mask[place]].tolist() == expected
    assert min(seen.values()) > 0
