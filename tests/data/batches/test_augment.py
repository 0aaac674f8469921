"""Counter-based draws and the size augmentation."""

from __future__ import annotations

import numpy as np
import pytest

from lgsf.data.batches.augment import augment_words, kept_regions, pack_left, uniforms

ROWS = np.arange(2_000)


def _splitmix64(state: int) -> int:
    """The generator's output function on Python integers."""
    mask = (1 << 64) - 1
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & mask
    return state ^ (state >> 31)


def test_the_mixer_is_splitmix64() -> None:
    golden, mask = 0x9E3779B97F4A7C15, (1 << 64) - 1
    # First outputs of the reference implementation for seed 1234567.
    outputs = [_splitmix64((1234567 + golden * (i + 1)) & mask) for i in range(2)]
    assert outputs == [6457827717110365317, 3203168211198807973]
    key = 0
    for part in (3, 5, 1, 17 * golden):  # seed, epoch, stream, row
        key = _splitmix64((key + part + (golden if part < 100 else 0)) & mask)
    expected = [(_splitmix64((key + golden * (j + 1)) & mask) >> 11) / 2**53 for j in range(4)]
    assert uniforms(3, 5, 1, np.array([17]), 4)[0].tolist() == expected


def test_draws_are_uniform_and_independent() -> None:
    draws = uniforms(0, 0, 0, ROWS, 50)
    counts, _ = np.histogram(draws, bins=20, range=(0, 1))
    chi2 = ((counts - draws.size / 20) ** 2 / (draws.size / 20)).sum()
    assert chi2 < 43.8  # 99.9th percentile with 19 degrees of freedom
    others = {
        "seed": uniforms(1, 0, 0, ROWS, 50),
        "epoch": uniforms(0, 1, 0, ROWS, 50),
        "stream": uniforms(0, 0, 1, ROWS, 50),
        "next row": uniforms(0, 0, 0, ROWS + 1, 50),
        "next position": np.roll(draws, 1, axis=1),
    }
    for name, other in others.items():
        assert abs(np.corrcoef(draws.ravel(), other.ravel())[0, 1]) < 4 / np.sqrt(draws.size), name


def test_a_draw_depends_on_its_own_place_alone() -> None:
    whole = uniforms(7, 2, 1, ROWS, 9)
    some = np.array([5, 1999, 3])
    np.testing.assert_array_equal(uniforms(7, 2, 1, some, 4), whole[some, :4])


def test_regions_go_with_their_chance_and_one_always_stays() -> None:
    valid = np.arange(40) < np.where(ROWS % 4 == 0, 1, 40)[:, None]
    keep = kept_regions(valid, uniforms(0, 0, 0, ROWS, 40), 0.2)
    assert not (keep & ~valid).any()
    assert keep[ROWS % 4 == 0, 0].all()
    many = keep[ROWS % 4 != 0]
    assert many.mean() == pytest.approx(0.8, abs=4 * np.sqrt(0.16 / many.size))
    nearly_all = kept_regions(valid, uniforms(0, 0, 0, ROWS, 40), 0.9999)
    assert nearly_all.any(axis=1).all()


def test_hit_words_are_masked_replaced_or_deleted() -> None:
    length, size = 30, 1_000
    tokens = np.full((len(ROWS), length), 500, np.int64)
    real = np.ones(tokens.shape, bool)
    real[:, [0, -1]] = False
    draws, replacements = (uniforms(0, 0, stream, ROWS, length) for stream in (1, 2))
    new, deleted = augment_words(tokens, real, draws, replacements, 0.2, mask=4, ordinary=np.arange(5, size))
    n = real.sum()
    shares = {
        "masked": (new == 4).sum() / n,
        "replaced": (~deleted & (new != 500) & (new != 4)).sum() / n,
        "deleted": deleted.sum() / n,
    }
    # One word in 28 is spared at least, but only when all would be hit: 0.2^28 of the captions.
    for name, expected in (("masked", 0.1), ("replaced", 0.02), ("deleted", 0.08)):
        assert shares[name] == pytest.approx(expected, abs=4 * np.sqrt(expected / n)), name
    assert (new[:, [0, -1]] == 500).all()
    assert not deleted[:, [0, -1]].any()
    random_words = new[~deleted & (new != 500) & (new != 4)]
    assert random_words.min() >= 5
    assert random_words.max() < size
    assert len(np.unique(random_words)) > 500  # 1,000 draws or so, spread over the vocabulary


def test_a_caption_keeps_a_word_of_its_own() -> None:
    tokens = np.tile([1, 7, 8, 9, 2, 0], (len(ROWS), 1))
    tokens[::2] = [1, 6, 2, 0, 0, 0]
    real = tokens > 4
    draws, replacements = (uniforms(0, 0, stream, ROWS, 6) for stream in (1, 2))
    new, deleted = augment_words(tokens, real, draws, replacements, 0.99, mask=4, ordinary=np.arange(5, 10))
    untouched = real & (new == tokens) & ~deleted
    assert untouched.any(axis=1).all()
    assert untouched[::2, 1].all()
    assert deleted[1::2].any()


def test_a_caption_without_words_is_left_alone() -> None:
    tokens = np.array([[1, 2]])
    zeros = np.zeros((1, 2))
    new, deleted = augment_words(tokens, tokens > 4, zeros, zeros, 0.5, mask=4, ordinary=np.arange(5, 10))
    assert new.tolist() == [[1, 2]]
    assert not deleted.any()


def test_pieces_of_a_word_share_its_fate() -> None:
    """Four words of 1, 2, 3 and 1 pieces, hit with the draws of their words; the last one is spared."""
    tokens = np.array([[101, 10, 20, 21, 30, 31, 32, 40, 102]])
    draws = np.array([[0.0, 0.1, 0.3, 0.3, 0.45, 0.45, 0.45, 0.49, 0.0]])
    replacements = np.array([[0, 0, 0.0, 0.99, 0, 0, 0, 0, 0]])
    real = (tokens != 101) & (tokens != 102)
    new, deleted = augment_words(tokens, real, draws, replacements, 0.5, mask=103, ordinary=np.array([7, 8, 9]))
    assert new[0, 1] == 103  # 0.1 of 0.5: masked
    assert deleted[0].tolist() == [False] * 2 + [True] * 5 + [False] * 2  # 0.3 and 0.45 of 0.5: deleted
    draws[0, 2:4] = 0.27  # between 0.25 and 0.3: each piece becomes another one
    new, deleted = augment_words(tokens, real, draws, replacements, 0.5, mask=103, ordinary=np.array([7, 8, 9]))
    assert new[0, 2:4].tolist() == [7, 9]
    draws[0, 1:8] = 0.2  # one draw for all words: all are spared
    new, deleted = augment_words(tokens, real, draws, replacements, 0.5, mask=103, ordinary=np.array([7, 8, 9]))
    assert not deleted.any()
    assert (new == tokens).all()


def test_packing_to_the_left() -> None:
    keep = np.array([[0, 1, 0, 1], [1, 0, 0, 0], [1, 1, 0, 1]], bool)
    row, source, target, mask = pack_left(keep)
    assert list(zip(row, source, target, strict=True)) == [
        (0, 1, 0), (0, 3, 1), (1, 0, 0), (2, 0, 0), (2, 1, 1), (2, 3, 2),
    ]  # fmt: skip
    assert mask.astype(int).tolist() == [[1, 1, 0], [1, 0, 0], [1, 1, 1]]
