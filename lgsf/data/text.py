"""Captions to numbers: word tokens, and the vocabulary of the training captions.

Tokens are those of the field (VSE++, SCAN and their successors): the lower-cased caption through nltk's
Treebank rules, `<start>` and `<end>` around it, `<unk>` for what training did not show often enough. Chinese, which
puts no spaces between words, is cut by jieba's dictionary and its model of unknown words instead.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, get_args

import numpy as np
import numpy.typing as npt

from lgsf.data.checks.characters import letters_per_word
from lgsf.data.source import TokenizerName
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_object, write_json

if TYPE_CHECKING:
    from nltk.tokenize import TreebankWordTokenizer

SPECIAL_WORDS = ("<pad>", "<start>", "<end>", "<unk>", "<mask>")
PAD, START, END, UNKNOWN, MASK = range(len(SPECIAL_WORDS))
SEEN = 5000  # captions that tell whether a tokenizer fits the language
ENCODING_WORDS = SPECIAL_WORDS[:MASK]  # all that encoding needs; words of published models may end here

_BYTES_LITERAL = re.compile(r"""b(['"]).*\1""", re.DOTALL)


@cache
def _tokenizer() -> TreebankWordTokenizer:
    # Imported on first use: nltk takes half a second, and most verbs never tokenise.
    with _some_home():
        from nltk.tokenize import TreebankWordTokenizer

    return TreebankWordTokenizer()


@contextmanager
def _some_home() -> Iterator[None]:
    """A home folder, where the user has none: nltk asks for one when it is imported, for data that we never use."""
    try:
        Path.home()
    except RuntimeError:
        pass
    else:
        yield
        return
    os.environ["HOME"] = tempfile.gettempdir()
    try:
        yield
    finally:
        del os.environ["HOME"]


@cache
def _jieba() -> Any:
    try:
        import rjieba  # the port in Rust: its dictionary is inside, and it keeps no cache of code in a shared folder
    except ImportError as error:
        raise LgsfError(
            f"the dataset's tokenizer is jieba and rjieba cannot be imported ({error}): install the extra `chinese`, "
            "pip install 'lgsf-benchmark[chinese]'."
        ) from None
    return rjieba


def tokenize(caption: str, tokenizer: TokenizerName = "treebank") -> list[str]:
    """Words of the lower-cased caption, without `<start>` and `<end>`; LgsfError where the library is absent."""
    if tokenizer == "jieba":
        return [word for word in _jieba().cut(caption.lower(), True) if not word.isspace()]
    words: list[str] = _tokenizer().tokenize(caption.lower())
    return words


def is_bytes_literal(caption: str) -> bool:
    """Whether the caption is the printed form of Python bytes, b'...': a trace of a broken conversion.

    Feeding it on would glue `b'` to the first word of every caption, which has cost VSRN's ports half
    their recall without any error.
    """
    return _BYTES_LITERAL.fullmatch(caption.strip()) is not None


class Tokenizer(Protocol):
    """What turns captions into numbers: the dataset's vocabulary, or the pieces of a pretrained model.

    The first and the last number of a caption are its frame (<start> and <end>, [CLS] and [SEP]); number 0 is
    padding.
    """

    @property
    def mask(self) -> int:
        """The number that stands in for a hidden word."""
        ...

    @property
    def ordinary(self) -> npt.NDArray[np.int64]:
        """Numbers that a word may be exchanged for: all but the special ones."""
        ...

    def pieces(self, caption: str) -> tuple[list[int], list[int]]:
        """Numbers of a caption with its frame, and which word each belongs to, counted from the frame's 0."""
        ...

    def tokens(self, caption: str) -> list[str]:
        """What each number of `pieces` stands for in this caption, as people read it."""
        ...


class Vocabulary:
    """Words and their numbers: the special words first, then the kept words, in alphabetical order if built here.

    min_count  occurrences that made a word; None where the words were taken as they are
    tokenizer  what cuts a caption into words
    """

    def __init__(self, words: Sequence[str], min_count: int | None, tokenizer: TokenizerName = "treebank") -> None:
        if tuple(words[: len(ENCODING_WORDS)]) != ENCODING_WORDS:
            raise ValueError(f"a vocabulary starts with {' '.join(ENCODING_WORDS)}")
        if len(set(words)) != len(words):
            raise ValueError("a word stands twice in the vocabulary")
        self.words = tuple(words)
        self.min_count = min_count
        self.tokenizer = tokenizer
        self._number = {word: number for number, word in enumerate(self.words)}
        self._cut: dict[str, array[int]] = {}  # captions that `build` has cut already -> places in `_of_place`
        self._of_place: list[int] = []

    @classmethod
    def build(cls, captions: Iterable[str], *, min_count: int, tokenizer: TokenizerName = "treebank") -> Vocabulary:
        """The words that occur at least `min_count` times in `captions`, the training captions alone.

        Raises LgsfError where no word is that frequent, and where the tokenizer takes whole phrases for words.
        """
        counts: Counter[str] = Counter()
        first: list[list[str]] = []
        places: dict[str, int] = {}
        cut: dict[str, array[int]] = {}
        for caption in captions:
            words = tokenize(caption, tokenizer)
            counts.update(words)
            cut[caption] = array("i", (places.setdefault(word, len(places)) for word in words))
            if len(first) < SEEN:
                first.append(words)
        _check_segmented(first, tokenizer)
        # The tokenizers cut <pad> into three words, so no caption can name a special word.
        kept = sorted(word for word, count in counts.items() if count >= min_count)
        if not kept:
            raise LgsfError(
                f"min_count is {min_count} and no word occurs that often in the training captions; lower min_count."
            )
        built = cls((*SPECIAL_WORDS, *kept), min_count, tokenizer)
        built._cut, built._of_place = cut, [built._number.get(word, UNKNOWN) for word in places]
        return built

    def __len__(self) -> int:
        return len(self.words)

    @property
    def hash(self) -> str:
        """sha256 (hex) of the words in order: two vocabularies with the same hash number alike."""
        other = () if self.tokenizer == "treebank" else (f"<{self.tokenizer}>",)
        return hashlib.sha256("\n".join((*other, *self.words)).encode()).hexdigest()

    def __contains__(self, word: str) -> bool:
        """Whether a word has a number of its own."""
        return word in self._number

    def encode(self, caption: str) -> list[int]:
        """Numbers of `<start>`, the caption's words and `<end>`; unknown words become `<unk>`."""
        if caption in self._cut:  # cutting takes a fifth of a millisecond, and preparing would do it twice
            return [START, *(self._of_place[place] for place in self._cut[caption]), END]
        return [START, *(self._number.get(word, UNKNOWN) for word in tokenize(caption, self.tokenizer)), END]

    @property
    def mask(self) -> int:
        return MASK

    @property
    def ordinary(self) -> npt.NDArray[np.int64]:
        return np.arange(len(SPECIAL_WORDS), len(self))

    def pieces(self, caption: str) -> tuple[list[int], list[int]]:
        """`encode`, where every number is a word of its own."""
        numbers = self.encode(caption)
        return numbers, list(range(len(numbers)))

    def tokens(self, caption: str) -> list[str]:
        """What `encode` gives numbers to, one text each: `<start>`, the caption's own words, `<end>`."""
        return [SPECIAL_WORDS[START], *tokenize(caption, self.tokenizer), SPECIAL_WORDS[END]]

    def save(self, path: Path) -> None:
        """Write JSON with the words, their threshold and their hash, and a tokenizer other than Treebank's."""
        other = {} if self.tokenizer == "treebank" else {"tokenizer": self.tokenizer}
        write_json(path, {"min_count": self.min_count, **other, "hash": self.hash, "words": self.words})

    @classmethod
    def load(cls, path: Path, *, remedy: str = "prepare the dataset again") -> Vocabulary:
        """Read what `save` wrote; `remedy` ends the sentence of every error.

        Raises LgsfError where the file is absent, is not such a file, or does not match its hash.
        """
        content = read_object(path, hint=remedy)
        try:
            least = content["min_count"]
            tokenizer = content.get("tokenizer", "treebank")
            if tokenizer not in get_args(TokenizerName):
                raise ValueError(f"unknown tokenizer {tokenizer!r}")
            vocabulary = cls([str(word) for word in content["words"]], None if least is None else int(least), tokenizer)
            promised = content["hash"]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise LgsfError(f"{path} is not a vocabulary ({error!r}): {remedy}.") from None
        if vocabulary.hash != promised:
            raise LgsfError(f"{path} was changed since it was written (its hash differs): {remedy}.")
        return vocabulary


def _check_segmented(captions: Sequence[Sequence[str]], tokenizer: TokenizerName) -> None:
    """LgsfError where most words are phrases of a script without spaces: training would see each of them once."""
    share, length, limit = letters_per_word(captions)
    if share >= 0.5 and length > limit:
        longest = max((word for caption in captions for word in caption), key=len)
        raise LgsfError(
            f"{100 * share:.0f} % of the letters of the training captions are of a script without spaces, and the "
            f"tokenizer {tokenizer!r} finds words of {length:.1f} letters on average (such as {longest[:40]!r}): set "
            "tokenizer: jieba for Chinese, or put spaces between the words of the captions for another language."
        )
