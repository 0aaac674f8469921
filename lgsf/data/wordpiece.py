"""Captions to the word pieces of a pretrained BERT (Wu et al. 2016), by the model's own tokenizer.json."""

from __future__ import annotations

import logging

import numpy as np
import numpy.typing as npt

from lgsf.system.errors import LgsfError

logger = logging.getLogger(__name__)
MASK = "[MASK]"


class WordPieces:
    """A tokenizer (lgsf.data.text.Tokenizer) of word pieces, framed by [CLS] and [SEP].

    A word's pieces share its number, so that augmentation hits whole words, as in VSE-infinity's code; it never
    hits the frame there either. A word may be exchanged for any piece but the special ones (there any of all).
    """

    def __init__(self, tokenizer_json: str, *, longest: int) -> None:
        """`longest` pieces with the frame is what the model has positions for; longer captions are cut.

        Raises LgsfError where this is no such tokenizer, or the package `tokenizers` is absent.
        """
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise LgsfError(
                f"text.kind is bert and tokenizers cannot be imported ({error}): install the extra `bert`, "
                "pip install 'lgsf-benchmark[bert]'."
            ) from None
        try:
            self._tokenizer = Tokenizer.from_str(tokenizer_json)
        except Exception as error:  # the library raises bare Exceptions
            raise LgsfError(
                f"the BERT's tokenizer.json cannot be read ({error}): take the model's folder anew."
            ) from None
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length=longest)
        special = {number for number, token in self._tokenizer.get_added_tokens_decoder().items() if token.special}
        mask = self._tokenizer.token_to_id(MASK)
        frame = self._tokenizer.encode("").ids
        if mask is None or len(frame) != 2 or not {mask, *frame} <= special:
            raise LgsfError(
                f"the BERT's tokenizer has no {MASK} or does not put [CLS] and [SEP] around a caption: "
                "take the model's folder with its own tokenizer files."
            )
        self.mask: int = mask
        numbers = sorted(set(self._tokenizer.get_vocab().values()) - special)
        self.ordinary: npt.NDArray[np.int64] = np.array(numbers, np.int64)
        self._warned = False

    def pieces(self, caption: str) -> tuple[list[int], list[int]]:
        """Numbers of the caption's pieces with their frame, and which word each belongs to, from the frame's 0."""
        encoded = self._tokenizer.encode(caption)
        if encoded.overflowing and not self._warned:
            self._warned = True
            logger.warning("captions with more than %d word pieces are cut, such as %r", len(encoded.ids), caption[:60])
        # The frame belongs to no word; of the rest every piece has one.
        words = [0, *(word + 1 for word in encoded.word_ids if word is not None)]
        return encoded.ids, [*words, words[-1] + 1]

    def tokens(self, caption: str) -> list[str]:
        """The pieces themselves; those that go on with a word begin with ##."""
        pieces: list[str] = self._tokenizer.encode(caption).tokens
        return pieces
