"""Characters of captions: the invisible ones are taken out, and scripts without spaces between words are known."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

# Marks that stand for nothing: byte order mark, word joiner, soft hyphen, directions, a former vowel separator.
_NOTHING = dict.fromkeys(
    map(ord, "\ufeff\u2060\u00ad\u200e\u200f\u061c\u180e\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
)
_CONTROLS = {code: " " for code in (*range(0x20), *range(0x7F, 0xA0)) if not chr(code).isspace()}
_TABLE = {**_NOTHING, **_CONTROLS}
_LATIN = "\u0000-\u024f"
# Joiners shape Persian, Indic scripts and emoji; beside a Latin letter, a space or an end they are litter.
_LOST_JOINER = re.compile(f"(?<![^{_LATIN}])[\u200c\u200d]|[\u200c\u200d](?![^{_LATIN}])")
_LATIN_BREAK = re.compile("(?<=[A-Za-z0-9\u00c0-\u024f])\u200b+(?=[A-Za-z0-9\u00c0-\u024f])")
# Han, kana, bopomofo, and the scripts of Thai, Lao, Tibetan, Burmese and Khmer.
_IDEOGRAPHIC = re.compile("[\u3040-\u30ff\u3100-\u312f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_SPACELESS = re.compile("[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff]")
LONGEST_MEAN = {"ideographic": 4.0, "alphabetic": 10.0}  # letters per word that no segmented text of the kind reaches


def clean(text: str) -> str:
    """The caption without characters that nobody sees, in Unicode's composed form (NFC).

    A zero-width space ends a word, so it becomes a space; inside a Latin word of a caption that has real spaces it is
    litter and goes. What the tokenizer takes for a space stays as it is.
    """
    if text.isascii() and text.isprintable():
        return text
    plain = unicodedata.normalize("NFC", text).translate(_TABLE)
    plain = _LOST_JOINER.sub("", plain)
    if "\u200b" in plain:
        if any(character.isspace() for character in plain.strip()):
            plain = _LATIN_BREAK.sub("", plain)
        plain = plain.replace("\u200b", " ")
    return plain.strip() if plain != text else text


def letters_per_word(captions: Iterable[Sequence[str]]) -> tuple[float, float, float]:
    """(share of letters in scripts without spaces, letters per word of such words, limit that segmented text keeps).

    captions  the words of each
    """
    letters, ideographic, spaceless, words = 0, 0, 0, 0
    for caption in captions:
        for word in caption:
            letters += sum(character.isalpha() for character in word)
            own = len(_IDEOGRAPHIC.findall(word)), len(_SPACELESS.findall(word))
            ideographic, spaceless, words = ideographic + own[0], spaceless + own[1], words + any(own)
    found = ideographic + spaceless
    kind = "ideographic" if ideographic >= spaceless else "alphabetic"
    return found / max(letters, found, 1), found / max(words, 1), LONGEST_MEAN[kind]
