"""Data that cannot be what they say: what is certain is an error, what is likely a warning with a figure.

A source hands over its splits as they are read (`captions`, `images`); nothing but digests, one per image and per
caption, and the captions to be tried are kept. Known mistakes: a test split that is a copy of train, an image stored
several times and read as several images, lines of another format read as captions, characters that nobody sees, and
captions that the vocabulary does not know.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lgsf.data.checks.characters import clean, letters_per_word
from lgsf.data.text import Vocabulary, tokenize
from lgsf.system.errors import LgsfError

TRIED = 2000  # captions of a training split whose words are counted
SAME = 0.5  # share of a split's images, found in another split, from which on it is no chance
UNKNOWN_WORDS = 0.10  # share of unknown words that is worth a warning; 3 % is usual
REPEATED = 0.20  # share of captions that another image has word for word
LETTERS = 12.0  # letters per word that no language has
LONG = 100  # words of a caption that is no longer one sentence
PICTURE = r"[^\s,|\t]+\.(?:jpe?g|png|gif|bmp|tiff?|webp)"
# What a line looks like if the file is not one caption per line, and what to do.
FORMATS: dict[str, tuple[re.Pattern[str], str]] = {
    "lines of a token file, <picture>#<number><TAB><caption>": (
        re.compile(rf"{PICTURE}#\w+\s", re.IGNORECASE),
        "keep what stands behind the tab (cut -f2-), and put the names into the ids file",
    ),
    "rows of a table that begin with a picture's name": (
        re.compile(rf"\"?{PICTURE}\"?\s*[,|;\t ]", re.IGNORECASE),
        "keep the column of the captions, and put the names into the ids file",
    ),
    "rows of a table with tabs": (
        re.compile(r"[^\t]*\t.*\S"),
        "keep the column of the captions alone (cut -f2- keeps all but the first)",
    ),
    "rows of a table with |": (re.compile(r"[^|]*\|[^|]*\|.*\S"), "keep the column of the captions alone"),
    "JSON": (re.compile(r"[\[{].*[\]}],?$"), "write the text of each caption on a line of its own"),
}
Digests = npt.NDArray[np.void]
Numbers = npt.NDArray[np.uint64]


@dataclass
class _Split:
    """What is remembered of a split: digests of images (n_images,) and captions (n_captions,), and some captions."""

    image: list[bytes] = field(default_factory=list)
    caption: Numbers = field(default_factory=lambda: np.zeros(0, np.uint64))
    caption_image: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    tried: list[str] = field(default_factory=list)
    cleaned: int = 0


@dataclass(frozen=True)
class Findings:
    """facts: split -> name -> number; warnings and errors: sentences, the worst first."""

    facts: Mapping[str, Mapping[str, Any]]
    warnings: Sequence[str]
    errors: Sequence[str]


class Checks:
    """The checks of one dataset, fed split by split."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._splits: dict[str, _Split] = {}

    def captions(self, split: str, table: pd.DataFrame) -> pd.DataFrame:
        """The captions of a split, cleaned; LgsfError where they are lines of another format, or nothing is left."""
        texts = table["text"].tolist()
        plain = [clean(text) for text in texts]
        here = self._splits.setdefault(split, _Split())
        here.cleaned = sum(a != b for a, b in zip(texts, plain, strict=True))
        if not all(plain):
            empty = plain.index("")
            raise LgsfError(
                f"datasets.{self._name}: caption {table['caption_id'].iloc[empty]!r} of split {split} is empty"
                f"{' but for characters that nobody sees' if texts[empty] else ''}: remove it or fill it in."
            )
        refuse_other_format(plain, f"datasets.{self._name}: split {split}")
        here.caption = np.array([_digest(text) for text in plain], np.uint64)
        here.caption_image = table["image"].to_numpy(np.int64)
        step = max(1, len(plain) // TRIED) if split == "train" else 1
        here.tried = plain[::step]
        return table.assign(text=plain) if here.cleaned else table

    def images(self, split: str, regions: npt.NDArray[Any], counts: npt.NDArray[Any]) -> None:
        """The next images of a split: (n, n_regions, dim), (n,)."""
        digests = self._splits.setdefault(split, _Split()).image
        for rows, count in zip(regions, counts, strict=True):
            digests.append(hashlib.blake2b(np.ascontiguousarray(rows[:count]).data, digest_size=16).digest())

    def digests(self, split: str) -> list[bytes]:
        """One digest of the features of each image that was handed over."""
        return self._splits[split].image

    def finish(self, vocabulary: Vocabulary) -> Findings:
        """What was found in all splits together."""
        warnings: list[str] = []
        errors: list[str] = []
        facts: dict[str, dict[str, Any]] = {}
        for name, split in self._splits.items():
            facts[name] = self._alone(name, split, vocabulary, warnings, errors)
        for name in self._splits:
            for other in self._splits:
                if (other, name) in (("train", "dev"), ("train", "test"), ("dev", "test")):
                    facts[name] |= self._together(name, other, warnings, errors)
        return Findings(facts, warnings, errors)

    def _alone(
        self, name: str, split: _Split, vocabulary: Vocabulary, warnings: list[str], errors: list[str]
    ) -> dict[str, Any]:
        """Facts of one split; `warnings` and `errors` grow."""
        n_images, n_captions = len(split.image), len(split.caption)
        where = f"datasets.{self._name}: split {name}"
        repeated = n_images - len(set(split.image))
        if groups := _repeated_in_a_row(split.image):
            errors.append(
                f"{where}: every image stands there {groups} times in a row, with the same features bit for bit, and "
                "would be read as that many images: set captions_per_image to the number of captions of one picture, "
                "or store each picture once with all of its captions."
            )
        elif repeated:
            warnings.append(
                f"{where}: {repeated} of {n_images} images ({_percent(repeated, n_images)}) have the features of "
                "another image bit for bit; their captions count as wrong for each other."
            )
        words = [tokenize(text, vocabulary.tokenizer) for text in split.tried]
        missing, total = sum(word not in vocabulary for caption in words for word in caption), sum(map(len, words))
        lengths = np.array([len(caption) for caption in words] or [0])
        letters = sum(sum(map(str.isalnum, text)) for text in split.tried)
        shared = _captions_of_several_images(split)
        found: dict[str, Any] = {
            "unknown_words": missing / max(total, 1),
            "words_per_caption": float(lengths.mean()),
            "longest_caption": int(lengths.max()),
            "letters_per_word": letters / max(total, 1),
            "letters_without_spaces": letters_per_word(words)[0],
            "repeated_images": repeated,
            "repeated_captions": shared,
            "cleaned_captions": split.cleaned,
        }
        for true, text in (
            (
                found["unknown_words"] > UNKNOWN_WORDS,
                f"{missing} of {total} words ({_percent(missing, total)}) are not in the vocabulary of train: check the "
                f"language, min_count and the tokenizer ({vocabulary.tokenizer})",
            ),
            (
                found["letters_per_word"] > LETTERS,
                f"a word has {found['letters_per_word']:.1f} letters on average with the tokenizer "
                f"{vocabulary.tokenizer}: check what stands between the words",
            ),
            (
                shared > REPEATED * n_captions,
                f"{shared} of {n_captions} captions ({_percent(shared, n_captions)}) are also those of another image, "
                "which counts as wrong for them",
            ),
            (
                found["longest_caption"] > LONG,
                f"a caption has {found['longest_caption']} words and the mean is {lengths.mean():.1f}: check that it is "
                "one caption",
            ),
            (
                split.cleaned > 0,
                f"{split.cleaned} of {n_captions} captions ({_percent(split.cleaned, n_captions)}) held characters that "
                "nobody sees, such as U+FEFF and U+200B, or letters in pieces; they were cleaned",
            ),
        ):
            if true:
                warnings.append(f"{where}: {text}.")
        return found

    def _together(self, name: str, other: str, warnings: list[str], errors: list[str]) -> dict[str, Any]:
        """Facts of a split that is to be unlike `other`."""
        split, known = self._splits[name], self._splits[other]
        n_images, n_captions = len(split.image), len(split.caption)
        images = sum(map(set(known.image).__contains__, split.image))
        captions = int(np.isin(split.caption, known.caption).sum())
        sets = sum(map(set(_caption_sets(known)).__contains__, _caption_sets(split)))
        where = f"datasets.{self._name}: split {name}"
        if n_images and images >= max(2, SAME * n_images):
            errors.append(
                f"{where}: {images} of its {n_images} images ({_percent(images, n_images)}) have the features of an "
                f"image of {other} bit for bit, so it is a copy of it or linked to it: give {name} files of its own."
            )
        elif n_captions > 1 and np.array_equal(split.caption, known.caption):
            errors.append(
                f"{where}: its captions are those of {other}, word for word and in the same order: give {name} the "
                "captions of its own images."
            )
        else:
            for count, what in ((images, f"have the features of an image of {other} bit for bit"),
                                (sets, f"have the very captions of an image of {other}")):  # fmt: skip
                if count:
                    warnings.append(
                        f"{where}: {count} of {n_images} images ({_percent(count, n_images)}) {what}: the split is "
                        "not unseen."
                    )
        return {
            f"images_also_in_{other}": images,
            f"captions_also_in_{other}": captions,
            f"caption_sets_also_in_{other}": sets,
        }


def refuse_other_format(captions: Sequence[str], where: str) -> None:
    """LgsfError where half of the captions or more look like lines of another format; `where` begins the sentence."""
    for kind, (pattern, remedy) in FORMATS.items():
        matches = [text for text in captions if pattern.match(text)]
        if kind == "JSON":
            matches = [text for text in matches if _is_json(text)]
        if len(matches) >= max(1, len(captions) / 2):
            raise LgsfError(
                f"{where}: {len(matches)} of {len(captions)} captions are {kind} (such as {matches[0][:60]!r}): {remedy}."
            )


def _is_json(text: str) -> bool:
    try:
        json.loads(text.rstrip(","))
    except ValueError:
        return False
    return True


def _digest(text: str) -> int:
    """64 bits of a caption in small letters with single spaces."""
    return int.from_bytes(hashlib.blake2b(" ".join(text.lower().split()).encode(), digest_size=8).digest(), "big")


def _repeated_in_a_row(images: Sequence[bytes]) -> str:
    """How often each image stands in a row, such as "5" or "4 to 6", if all of them do (the last may be cut); or ""."""
    if len(images) < 2:
        return ""
    change = np.flatnonzero([a != b for a, b in pairwise(images)]) + 1
    lengths = np.diff([0, *change, len(images)])
    whole = lengths[:-1] if len(lengths) > 1 else lengths
    if whole.min() < 2:
        return ""
    return f"{whole.min()}" if whole.min() == whole.max() else f"{whole.min()} to {whole.max()}"


def _captions_of_several_images(split: _Split) -> int:
    """How many captions another image of the split has word for word."""
    pairs = np.unique(np.column_stack([split.caption, split.caption_image.astype(np.uint64)]), axis=0)
    texts, images = np.unique(pairs[:, 0], return_counts=True)
    return int(np.isin(split.caption, texts[images > 1]).sum())


def _caption_sets(split: _Split) -> list[bytes]:
    """One digest per image of all its captions, whatever their order; images with one caption are left out."""
    order = np.lexsort((split.caption, split.caption_image))
    starts = np.flatnonzero(np.diff(split.caption_image[order], prepend=-1))
    return [part.tobytes() for part in np.split(split.caption[order], starts[1:]) if len(part) > 1]


def _percent(part: int, whole: int) -> str:
    share = 100 * part / max(whole, 1)
    return f"{share:.1f} %" if share >= 0.1 or not part else f"{share:.2g} %"
