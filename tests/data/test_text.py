"""Tokens, vocabulary, and its file."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lgsf.data.text import SPECIAL_WORDS, UNKNOWN, Vocabulary, is_bytes_literal, tokenize
from lgsf.system.errors import LgsfError
from lgsf.system.files import write_json


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("A Dog runs.", ["a", "dog", "runs", "."]),
        ("a man's dog isn't here", ["a", "man", "'s", "dog", "is", "n't", "here"]),
        ("red, green (and blue)", ["red", ",", "green", "(", "and", "blue", ")"]),
        ("Über ein Café 狗", ["über", "ein", "café", "狗"]),
        ("the <pad> word", ["the", "<", "pad", ">", "word"]),
        ("   ", []),
    ],
)
def test_tokens_follow_the_treebank_rules_on_lower_case(caption: str, words: list[str]) -> None:
    assert tokenize(caption) == words


def test_the_vocabulary_keeps_frequent_words_in_alphabetical_order() -> None:
    vocabulary = Vocabulary.build(["a cat", "A dog", "the dog a"], min_count=2)
    assert vocabulary.words == ("<pad>", "<start>", "<end>", "<unk>", "<mask>", "a", "dog")
    assert vocabulary.encode("the DOG a") == [1, 3, 6, 5, 2]
    assert vocabulary.encode("") == [1, 2]
    assert len(vocabulary) == 7
    assert vocabulary.min_count == 2


def test_the_order_of_the_captions_does_not_matter() -> None:
    captions = ["a b c", "c d", "b a d", "e"]
    first, second = (Vocabulary.build(order, min_count=1) for order in (captions, captions[::-1]))
    assert first.words == second.words
    assert first.hash == second.hash


def test_captions_that_built_it_are_encoded_as_any_other() -> None:
    captions = ["A red, round cat isn't a dog.", "a cat", "nobody's Fool", "", "a red\u00a0dog"]
    built = Vocabulary.build(captions, min_count=2)
    fresh = Vocabulary(built.words, built.min_count)
    assert UNKNOWN in built.encode(captions[2]) and max(built.encode(captions[0])) > UNKNOWN
    for caption in [*captions, "a cat isn't unseen"]:
        assert built.encode(caption) == fresh.encode(caption)


def test_a_threshold_that_no_word_meets_is_refused() -> None:
    with pytest.raises(LgsfError, match="min_count is 3"):
        Vocabulary.build(["a dog", "a cat"], min_count=3)


def test_a_caption_cannot_name_a_special_word() -> None:
    vocabulary = Vocabulary.build(["<pad> <mask> <unk>"], min_count=1)
    numbers = vocabulary.encode("<pad> <mask> <unk>")
    assert set(numbers[1:-1]).isdisjoint(range(len(SPECIAL_WORDS)))


def test_the_file_keeps_everything_and_its_hash_is_that_of_the_words(tmp_path: Path) -> None:
    vocabulary = Vocabulary.build(['über 狗 "quoted" a\\b'], min_count=1)
    vocabulary.save(tmp_path / "v.json")
    again = Vocabulary.load(tmp_path / "v.json")
    assert again.words == vocabulary.words
    assert again.min_count == 1
    assert again.hash == hashlib.sha256("\n".join(vocabulary.words).encode("utf-8")).hexdigest()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: {**c, "words": [*c["words"][:-2], c["words"][-1], c["words"][-2]]}, "hash differs"),
        (lambda c: {**c, "words": c["words"][:-1]}, "hash differs"),
        (lambda c: {**c, "words": c["words"][1:]}, "not a vocabulary"),
        (lambda c: {k: v for k, v in c.items() if k != "hash"}, "not a vocabulary"),
        (lambda c: c["words"], "holds no object but a list"),
    ],
    ids=["swapped", "shortened", "no padding", "no hash", "a list"],
)
def test_a_tampered_file_is_refused(tmp_path: Path, change: object, said: str) -> None:
    path = tmp_path / "v.json"
    Vocabulary.build(["a b c"], min_count=1).save(path)
    assert callable(change)
    write_json(path, change(json.loads(path.read_text("utf-8"))))
    with pytest.raises(LgsfError, match=said):
        Vocabulary.load(path)


def test_a_missing_or_broken_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LgsfError, match="missing"):
        Vocabulary.load(tmp_path / "v.json")
    (tmp_path / "v.json").write_text("{", "utf-8")
    with pytest.raises(LgsfError, match="not valid JSON"):
        Vocabulary.load(tmp_path / "v.json")


@pytest.mark.parametrize(
    ("caption", "broken"),
    [
        ("b'a dog'", True),
        ("b'a dog'\n", True),
        ('b"a man\'s dog"', True),
        ("b' and then a dog", False),
        ("a dog", False),
        ("baby's 'toy'", False),
    ],
)
def test_bytes_literals_are_recognised(caption: str, broken: bool) -> None:
    assert is_bytes_literal(caption) is broken


def test_importing_the_module_does_not_load_nltk() -> None:
    code = "import sys, lgsf.data.text; sys.exit('nltk' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.shared
def test_coco_captions_tokenise(shared_path: Path) -> None:
    captions = (shared_path / "data/coco_text/testall_caps.txt").read_text("utf-8").splitlines()
    assert len(captions) == 25_000
    plain = [caption for caption in captions if re.fullmatch(r"[A-Za-z0-9 ]+( \.)?", caption)]
    assert len(plain) > 15_000
    contractions = {"cannot", "gonna", "gotta", "gimme", "lemme", "wanna", "dunno"}
    for caption in plain[:5_000]:  # no punctuation inside: white space alone decides
        words = caption.lower().split()
        if contractions.isdisjoint(words):
            assert tokenize(caption) == words
