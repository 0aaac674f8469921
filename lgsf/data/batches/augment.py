"""Size augmentation (VSE-infinity): regions and words dropped at random, each draw a function of its place.

A draw depends on (seed, epoch, caption row, position) and on nothing else: not on the order of the
batches, on threads, or on what was drawn before. So a resumed epoch sees what the broken one saw.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

# Streams keep the draws of one place apart.
REGION_STREAM, WORD_STREAM, REPLACEMENT_STREAM = range(3)

# Of the words that are hit: half become the mask, a tenth another word, the rest is deleted (VSE-infinity's
# code; its comment promises to keep the last tenth, its paper speaks of dropping alone).
MASKED, REPLACED = 0.5, 0.1

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix(state: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The output function of splitmix64 (Steele, Lea, Flood 2014): a bijection that scatters every bit."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def uniforms(seed: int, epoch: int, stream: int, rows: npt.NDArray[np.integer[Any]], width: int) -> Floats:
    """(len(rows), width) numbers in [0, 1); entry (i, j) depends on (seed, epoch, stream, rows[i], j)."""
    state = np.zeros((1,), np.uint64)  # arrays wrap around silently, scalars would warn
    for part in (seed, epoch, stream):
        state = _mix(state + np.uint64(part) + _GOLDEN)
    state = _mix(state + rows.astype(np.uint64) * _GOLDEN)
    places = _mix(state[:, None] + np.arange(1, width + 1, dtype=np.uint64) * _GOLDEN)
    return (places >> np.uint64(11)).astype(np.float64) * 2.0**-53


def kept_regions(valid: Bools, draws: Floats, chance: float) -> Bools:
    """Which of the `valid` (n, n_regions) regions stay when each goes with `chance`.

    Where all would go the one with the largest draw stays, so no image is left without a region.
    """
    return valid & ~_hit(valid, draws, chance)


def augment_words(
    tokens: Ints, real: Bools, draws: Floats, replacements: Floats, chance: float, *, mask: int, ordinary: Ints
) -> tuple[Ints, Bools]:
    """(new tokens, which are deleted), both (n, n_words), when each `real` word is hit with `chance`.

    `real` excludes padding and the frame of a caption, which are never touched. A hit word becomes `mask`
    (50 %), a random one of the `ordinary` words (10 %) or is deleted (40 %). Pieces of one word share its draw
    and so its fate; each has a replacement of its own. Where all would be hit the word with the largest draw
    is spared, so no caption is left without a word of its own.
    """
    hit = _hit(real, draws, chance)
    share = draws / chance  # uniform in [0, 1) where hit
    masked = hit & (share < MASKED)
    replaced = hit & (share >= MASKED) & (share < MASKED + REPLACED)
    other = ordinary[(replacements * len(ordinary)).astype(np.int64)]
    tokens = np.where(masked, mask, np.where(replaced, other, tokens))
    return tokens, hit & ~masked & ~replaced


def _hit(candidates: Bools, draws: Floats, chance: float) -> Bools:
    """Where a candidate's draw is below `chance`, sparing the largest draw of each row."""
    spared = np.where(candidates, draws, -1.0).max(axis=1, keepdims=True)
    hit: Bools = candidates & (draws < chance) & (draws < spared)
    return hit


def pack_left(keep: Bools) -> tuple[Ints, Ints, Ints, Bools]:
    """Where the kept entries of (n, width) go when each row is closed up to the left.

    Returns (row, source column, target column) of every kept entry and the mask (n, longest) of the result.
    """
    counts = keep.sum(axis=1)
    row, source = np.nonzero(keep)
    target = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    mask = np.arange(counts.max(initial=0)) < counts[:, None]
    return row, source, target, mask
