"""Invisible characters go, what people see stays."""

from __future__ import annotations

import pytest

from lgsf.data.checks.characters import clean


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("a red dog", "a red dog"),
        ("\ufeffa red dog", "a red dog"),
        ("a re\u200bd dog", "a red dog"),
        ("a\u200bred\u200bdog", "a red dog"),  # no real space: these are the spaces
        ("a red\u200b dog\u200b", "a red  dog"),
        ("a r\u00aded d\u2060og\u200e", "a red dog"),
        ("a red\x00 dog\x1b", "a red  dog"),
        ("a re\u200dd \u200cdog", "a red dog"),
        ("cafe\u0301", "café"),
        ("می\u200cروم", "می\u200cروم"),  # a joiner that shapes a Persian word
        ("👩\u200d🚀 on the moon", "👩\u200d🚀 on the moon"),
        ("ภาษา\u200bไทย ดี", "ภาษา ไทย ดี"),
        ("a dog\u2028runs\x0bto\x85a cat", "a dog\u2028runs\x0bto\x85a cat"),  # spaces to the tokenizer
        ("\ufeff\u200b", ""),
    ],
)
def test_a_caption_is_what_people_see(written: str, read: str) -> None:
    assert clean(written) == read
    assert clean(read) == read
