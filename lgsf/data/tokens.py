"""All captions of a split as numbers: made once, when a dataset is prepared, so that no later step needs a tokenizer.

`<split>/tokens.npz` holds them in the numbers of the dataset's own vocabulary: tokens (total,) int32 and lengths
(n_captions,) int32, frames included, and the vocabulary's hash as text. Other vocabularies and the word pieces of a
BERT encode the texts themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lgsf.data.checks.verified import REMEDY
from lgsf.data.text import PAD, Tokenizer, Vocabulary
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_arrays, write_arrays
from lgsf.system.hashes import sha256

if TYPE_CHECKING:
    from lgsf.data.layout import Split

FILE = "tokens.npz"
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class EncodedCaptions:
    """All captions of a split as one array of token numbers.

    tokens   (total,) int32, every caption with its frame
    words    (total,) int32, which word of its caption a token belongs to, 0 for the frame's first
    offsets  (n_captions + 1,) int64; caption c is tokens[offsets[c]:offsets[c + 1]]
    """

    tokens: npt.NDArray[np.int32]
    words: npt.NDArray[np.int32]
    offsets: Ints

    @classmethod
    def of(cls, texts: Sequence[str], tokenizer: Tokenizer) -> EncodedCaptions:
        """Encode `texts` in order."""
        tokens, words = [np.zeros(0, np.int32)], [np.zeros(0, np.int32)]
        for text in texts:
            numbers, belongs = tokenizer.pieces(text)
            tokens.append(np.array(numbers, np.int32))
            words.append(np.array(belongs, np.int32))
        offsets = np.cumsum([*map(len, tokens)], dtype=np.int64)
        return cls(np.concatenate(tokens), np.concatenate(words), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> Ints:
        """(n_captions,) int64, tokens of each caption."""
        return np.diff(self.offsets)

    def padded(self, rows: Ints) -> tuple[Ints, Bools]:
        """Tokens (n, longest) int64 with padding 0, and their mask."""
        places, mask = self._places(rows)
        return np.where(mask, self.tokens[places].astype(np.int64), PAD), mask

    def word_numbers(self, rows: Ints) -> Ints:
        """(n, longest) int64: the word that each token of `padded` belongs to, 0 for padding."""
        places, mask = self._places(rows)
        return np.where(mask, self.words[places].astype(np.int64), 0)

    def _places(self, rows: Ints) -> tuple[Ints, Bools]:
        lengths = self.lengths[rows]
        columns = np.arange(lengths.max(initial=0))
        mask = columns < lengths[:, None]
        return np.where(mask, self.offsets[rows][:, None] + columns, 0), mask


def write_tokens(folder: Path, texts: Sequence[str], vocabulary: Vocabulary) -> str:
    """Write `tokens.npz` of a split whose captions are `texts`; its sha256."""
    captions = EncodedCaptions.of(texts, vocabulary)
    arrays = {"tokens": captions.tokens, "lengths": captions.lengths.astype(np.int32)}
    write_arrays(folder / FILE, {**arrays, "vocabulary": np.array(vocabulary.hash)})
    return sha256(folder / FILE)


def encoded_captions(split: Split, tokenizer: Tokenizer) -> EncodedCaptions:
    """The split's captions in the tokenizer's numbers: those that `prepare` wrote, or encoded where it wrote none."""
    stored = _stored(split, tokenizer)
    return EncodedCaptions.of(split.captions["text"].tolist(), tokenizer) if stored is None else stored


def padded_captions(split: Split, tokenizer: Tokenizer, rows: Ints) -> tuple[Ints, Bools]:
    """`encoded_captions(split, tokenizer).padded(rows)`, which encodes no other captions."""
    stored = _stored(split, tokenizer)
    if stored is not None:
        return stored.padded(rows)
    texts = split.captions["text"].iloc[rows].tolist()
    return EncodedCaptions.of(texts, tokenizer).padded(np.arange(len(texts)))


def _stored(split: Split, tokenizer: Tokenizer) -> EncodedCaptions | None:
    """What `prepare` wrote, where it is in the numbers of this tokenizer."""
    if isinstance(tokenizer, Vocabulary) and split.tokens is not None and split.tokens.vocabulary == tokenizer.hash:
        return split.tokens.captions
    return None


@dataclass(frozen=True)
class StoredTokens:
    """What `tokens.npz` holds, and the hash of the vocabulary whose numbers they are."""

    captions: EncodedCaptions
    vocabulary: str


def read_tokens(path: Path, *, n_captions: int, vocabulary_size: int) -> StoredTokens:
    """Read `tokens.npz`; LgsfError where it does not fit the captions or the vocabulary of the dataset."""
    arrays = read_arrays(path, hint=REMEDY)
    if {name: array.dtype.kind for name, array in arrays.items()} != {"tokens": "i", "lengths": "i", "vocabulary": "U"}:
        raise LgsfError(f"{path} does not hold tokens, their lengths and a vocabulary's hash: {REMEDY}.")
    tokens, lengths = arrays["tokens"], arrays["lengths"].astype(np.int64)
    fits = lengths.shape == (n_captions,) and tokens.shape == (lengths.sum(),) and (lengths >= 2).all()
    if not fits or (tokens < 0).any() or (tokens >= vocabulary_size).any():
        raise LgsfError(f"{path} does not fit the captions beside it or the vocabulary: {REMEDY}.")
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    words = np.arange(len(tokens)) - np.repeat(offsets[:-1], lengths)
    captions = EncodedCaptions(tokens.astype(np.int32), words.astype(np.int32), offsets)
    return StoredTokens(captions, str(arrays["vocabulary"]))
