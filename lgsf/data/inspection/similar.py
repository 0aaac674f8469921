"""Images that are nearly the same: by their features, and by their pixels; exact search in bounded memory."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

Floats = npt.NDArray[np.float32]
Hashes = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]
Pair = tuple[int, int]
DIM = 64  # of the random projection that the search runs in
ALIKE = 0.999  # cosine of projected features from which on a pair is looked at in full
SAME_FEATURES = 0.05  # distance of two images, in parts of their distance from the mean image
SIDE = 16  # of the grid of brightness differences: 256 bits
SAME_PIXELS = 10  # bits of 256 in which two pictures may differ
ROWS, COLUMNS = 1024, 8192  # of one block of comparisons
AT_ONCE = 2**16  # pairs that are held: where features differ by a factor alone, every second pair has one direction
MOST = 10_000  # pairs that are kept


def projection(dim: int) -> Floats:
    """(dim, DIM) float32 random directions, the same in every run."""
    return np.random.default_rng(0).standard_normal((dim, DIM)).astype(np.float32) / np.float32(np.sqrt(DIM))


def alike_features(projected: Floats, exact: Callable[[npt.NDArray[np.int64]], Floats], mean: Floats) -> list[Pair]:
    """Pairs of rows whose features are nearly the same, at most MOST.

    projected  (n, DIM) mean features of all images in the projection
    exact      rows -> their mean features (n_rows, dim)
    mean       (dim,) mean over all images
    """
    centred = projected - projected.mean(axis=0)
    length = np.linalg.norm(centred, axis=1)
    unit = centred / np.maximum(length, np.float32(1e-20))[:, None]
    candidates: list[Pair] = []
    for first, second in _pairs(len(unit), lambda rows, columns: unit[rows] @ unit[columns].T >= ALIKE):
        # The projection keeps distances to within a fifth: what is twice too far here is too far.
        apart = np.linalg.norm(centred[first] - centred[second], axis=1)
        near = apart <= 2 * SAME_FEATURES * (length[first] + length[second]) / 2
        candidates += zip(first[near].tolist(), second[near].tolist(), strict=True)
        if len(candidates) >= MOST:
            break
    pairs = []
    for pair in candidates[:MOST]:
        both = exact(np.array(pair)) - mean
        if np.linalg.norm(both[0] - both[1]) <= SAME_FEATURES * np.linalg.norm(both, axis=1).mean():
            pairs.append(pair)
    return pairs


def _pairs(n: int, alike: Callable[[slice, slice], npt.NDArray[np.bool_]]) -> Iterator[tuple[Rows, Rows]]:
    """(first, second) of the pairs of n rows that are alike, at most AT_ONCE of them at a time: it may be all pairs."""
    for rows, columns in _blocks(n):
        found = np.flatnonzero(alike(rows, columns))
        for start in range(0, len(found), AT_ONCE):
            first, second = np.divmod(found[start : start + AT_ONCE], columns.stop - columns.start)
            first, second = first + rows.start, second + columns.start
            yield first[first < second], second[first < second]


def alike_pictures(hashes: Hashes) -> list[Pair]:
    """Pairs of rows of (n, 4) uint64 that differ in at most SAME_PIXELS bits, at most MOST."""

    def alike(rows: slice, columns: slice) -> npt.NDArray[np.bool_]:
        differing = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.int16)
        for word in range(hashes.shape[1]):
            differing += np.bitwise_count(hashes[rows, word, None] ^ hashes[None, columns, word])
        return differing <= SAME_PIXELS

    pairs: list[Pair] = []
    for first, second in _pairs(len(hashes), alike):
        pairs += zip(first.tolist(), second.tolist(), strict=True)
        if len(pairs) >= MOST:
            break
    return pairs[:MOST]


def picture_hash(file: Path) -> tuple[Hashes, bytes] | None:
    """(4,) uint64: is a place of the picture brighter than its neighbour; and the digest of the file.

    None for a file that cannot be read as a picture, or shows nothing that could be compared.
    """
    try:
        with Image.open(file) as picture:
            picture.draft("L", (4 * SIDE, 4 * SIDE))
            small = ImageOps.exif_transpose(picture).convert("L").resize((SIDE + 1, SIDE), Image.Resampling.BOX)
        grey = np.asarray(small, np.int16)
        digest = hashlib.blake2b(file.read_bytes(), digest_size=16).digest()
    except (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError):
        return None
    bits = grey[:, 1:] > grey[:, :-1]
    return np.packbits(bits).view(np.uint64), digest


def _blocks(n: int) -> Iterator[tuple[slice, slice]]:
    """(rows, columns) of the blocks at or above the diagonal."""
    for row in range(0, n, ROWS):
        for column in range(row, n, COLUMNS):
            yield slice(row, min(row + ROWS, n)), slice(column, min(column + COLUMNS, n))


def mean_features(regions: npt.NDArray[Any], counts: npt.NDArray[Any]) -> Floats:
    """(n, dim) float32: mean over the valid regions of each image (n, n_regions, dim)."""
    valid = np.arange(regions.shape[1]) < np.asarray(counts)[:, None]
    total = np.einsum("nrd,nr->nd", regions.astype(np.float32), valid.astype(np.float32))
    return np.asarray(total / np.maximum(valid.sum(axis=1, keepdims=True), 1), np.float32)
