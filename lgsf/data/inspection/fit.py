"""Do the captions fit the images? Alike images should be told alike; shuffled captions are told by chance.

Two similarity matrices over a sample of images – of their features, and of the words of their captions – are
correlated, and so they are after random exchanges of the captions (Mantel, Cancer Research 1967). The distance from
what chance gives, in its standard deviations, is large for any dataset of this field, and below three when captions
belong to other images. The same for captions of one image among themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
SAMPLE = 1000  # images that are compared
EXCHANGES = 100
LEAST = 30  # images below which chance decides too much
WINDOWS = 10


@dataclass(frozen=True)
class Fit:
    """z over chance: of captions with images, of captions of one image with each other, and per window of the file.

    captions  None where no image has two captions
    windows  (first image, last image, z) in the order of the file; () for small splits
    """

    images: float
    captions: float | None
    windows: tuple[tuple[int, int, float], ...]


def fit(features: Floats, words: Sequence[Sequence[str]], caption_image: Rows, rows: Rows) -> Fit | None:
    """How well captions fit images; None for less than LEAST images, or where all captions or all features are equal.

    features       (n, dim) of the sampled images
    words          of the captions of these images
    caption_image  (n_captions,) place of each caption's image among the sampled
    rows           (n,) places of the sampled images in the file
    """
    n = len(features)
    if n < LEAST:
        return None
    captions = _tf_idf(words)
    owner = scipy.sparse.csr_matrix(
        (np.ones(len(words), np.float32), (caption_image, np.arange(len(words)))), shape=(n, len(words))
    )
    told = _unit_rows(owner @ captions)
    of_images = _centred(_cosines(features - features.mean(axis=0)))
    of_words = _centred(np.asarray((told @ told.T).todense(), np.float32))
    if not of_images.any() or not of_words.any():
        return None
    random = np.random.default_rng(0)
    orders = [random.permutation(n) for _ in range(EXCHANGES)]
    own = (of_images * of_words).sum(axis=1)
    chance = np.stack([(of_images * of_words[np.ix_(order, order)]).sum(axis=1) for order in orders])
    windows = []
    if n >= 20 * WINDOWS:
        for part in np.array_split(np.arange(n), WINDOWS):
            z = _z(own[part].sum(), chance[:, part].sum(axis=1))
            windows.append((int(rows[part[0]]), int(rows[part[-1]]), z))
    return Fit(_z(own.sum(), chance.sum(axis=1)), _agreement(captions, caption_image, n, random), tuple(windows))


def _agreement(
    captions: scipy.sparse.csr_matrix, caption_image: Rows, n: int, random: np.random.Generator
) -> float | None:
    """z of the similarity of captions of one image, against captions dealt out by chance; None without any two."""

    def together(images: Rows) -> float:
        owner = scipy.sparse.csr_matrix(
            (np.ones(len(images), np.float32), (images, np.arange(len(images)))), shape=(n, len(images))
        )
        return float((owner @ captions).power(2).sum())

    if np.bincount(caption_image, minlength=n).max() < 2:
        return None
    return _z(
        together(caption_image), np.array([together(random.permutation(caption_image)) for _ in range(EXCHANGES)])
    )


def _z(value: float, chance: npt.NDArray[np.floating]) -> float:
    return float((value - chance.mean()) / max(float(chance.std()), 1e-12))


def _tf_idf(captions: Sequence[Sequence[str]]) -> scipy.sparse.csr_matrix:
    """(n_captions, n_words) float32 with unit rows: rare words count more; those of a single caption say nothing."""
    frequency = Counter(word for caption in captions for word in set(caption))
    number = {word: place for place, word in enumerate(sorted(w for w, count in frequency.items() if count > 1))}
    places = [(row, number[word]) for row, caption in enumerate(captions) for word in set(caption) if word in number]
    rows, columns = np.array(places, np.int64).reshape(-1, 2).T
    weight = np.array([np.log(len(captions) / frequency[word]) for word in number], np.float32)
    table = scipy.sparse.csr_matrix((weight[columns], (rows, columns)), shape=(len(captions), max(len(number), 1)))
    return _unit_rows(table)


def _unit_rows(table: scipy.sparse.csr_matrix) -> scipy.sparse.csr_matrix:
    length = np.sqrt(np.asarray(table.power(2).sum(axis=1)).ravel())
    unit: scipy.sparse.csr_matrix = scipy.sparse.csr_matrix(table.multiply(1 / np.maximum(length, 1e-12)[:, None]))
    return unit


def _cosines(rows: Floats) -> Floats:
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-20))
    return np.asarray(unit @ unit.T, np.float32)


def _centred(matrix: Floats) -> Floats:
    """Without its diagonal, rows and columns of mean zero: no image is alike to all others."""
    matrix = matrix.copy()
    np.fill_diagonal(matrix, 0)
    matrix -= matrix.mean(axis=0)
    matrix -= matrix.mean(axis=1, keepdims=True)
    np.fill_diagonal(matrix, 0)
    return matrix
