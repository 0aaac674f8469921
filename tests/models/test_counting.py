"""Counting where the scores are: on a device what the arrays say, number for number; right pairs without a whole walk."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from baselines.scan import SCAN, SCANParameters
from lgsf.metrics.counting import Counter, Queries
from lgsf.metrics.ranking import MatrixScores, NotFiniteScoreError, Ranking, contiguous_folds, rank
from lgsf.models import counting, scoring
from lgsf.models.base import DataSpec, Encoded, Method, Parameters
from lgsf.models.counting import DeviceCounts
from lgsf.models.ragged import LONG, collected
from lgsf.models.scoring import MeanScores, TiledScores
from lgsf.system.logs import Pace

CPU = torch.device("cpu")


class OnDevice(MatrixScores):
    """A matrix whose blocks are tensors, counted as on a GPU."""

    def pairs(self, images: Any, captions: Any) -> Any:
        return self.matrix[images, captions]

    def walk(self) -> Iterator[tuple[int, Any]]:
        for first, block in self.blocks():
            yield first, torch.from_numpy(block)

    def counter(self, queries: Queries, own: Any, top: int) -> Counter:
        return DeviceCounts(queries, own, top, CPU)


def same(one: Ranking, other: Ranking) -> None:
    for name, value in vars(one).items():
        found = vars(other)[name]
        np.testing.assert_array_equal(found, value, err_msg=name)
        assert np.asarray(found).dtype == np.asarray(value).dtype, name


@pytest.mark.parametrize("folds", [1, 4])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("values", [5, 10**6])
@pytest.mark.parametrize(("rows", "top"), [(3, 0), (3, 7), (40, 100), (7, 1)])
def test_a_device_counts_what_arrays_count(
    folds: int, kind: Any, values: int, rows: int, top: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "STRIP", 16)
    random = np.random.default_rng(folds + rows)
    caption_image = np.concatenate([np.arange(40), random.integers(0, 40, 77)])
    random.shuffle(caption_image)
    matrix = random.integers(0, values, (40, len(caption_image))).astype(kind)
    judged = np.array([3, 39, 3]), np.array([0, 100, 7])
    options = {"judged": judged, "top": top}
    fold = contiguous_folds(40, folds)
    arrays = rank(MatrixScores(matrix, rows=rows), caption_image, fold, **options)  # type: ignore[arg-type]
    same(arrays, rank(OnDevice(matrix, rows=rows), caption_image, fold, **options))  # type: ignore[arg-type]
    assert arrays.i2t_top.shape == (40, min(top, 117)) and arrays.t2i_top.shape == (117, min(top, 40))
    if values == 5:
        assert arrays.i2t_ties and arrays.t2i_ties


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_named_by_a_device_too(bad: float) -> None:
    matrix = np.eye(5, dtype=np.float32)
    matrix[3, 1] = bad
    with pytest.raises(NotFiniteScoreError, match="image row 3 and caption row 1 is"):
        rank(OnDevice(matrix, rows=2), np.arange(5), np.zeros(5, np.int32))


def vectors(n_images: int, n_texts: int, memory_mb: int, seed: int = 0) -> TiledScores:
    generator = torch.Generator().manual_seed(seed)
    method = Method(Parameters(), DataSpec(region_dim=1, vocabulary_size=1))
    images, texts = (torch.randn(n, 33, generator=generator) for n in (n_images, n_texts))
    return TiledScores(method, Encoded(vector=images), Encoded(vector=texts), memory_mb)


class Walks:
    """Counts the tiles that a method compares."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tiles, plain = 0, Method.similarity

        def similarity(method: Method, images: Encoded, texts: Encoded) -> torch.Tensor:
            self.tiles += 1
            return plain(method, images, texts)

        monkeypatch.setattr(Method, "similarity", similarity)


@pytest.mark.parametrize("order", ["in order", "shuffled"])
@pytest.mark.parametrize("ensemble", [False, True])
def test_one_walk_ranks_as_two(order: str, ensemble: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "IMAGE_TILE", 16)
    monkeypatch.setattr(scoring, "TEXT_TILE", 32)
    caption_image = np.repeat(np.arange(100), 4)
    if order == "shuffled":
        np.random.default_rng(0).shuffle(caption_image)
    judged = np.array([99, 0, 5]), np.array([399, 7, 7])
    fold = contiguous_folds(100, 2)

    def scores(memory_mb: int) -> Any:
        members = [vectors(100, 400, memory_mb, seed) for seed in range(2)]
        return MeanScores(members, memory_mb) if ensemble else members[0]

    matrix = np.concatenate([block for _, block in scores(512).blocks()])
    expected = rank(MatrixScores(matrix), caption_image, fold, judged=judged)
    for memory_mb in (512, 0):
        walks = Walks(monkeypatch)
        same(expected, rank(scores(memory_mb), caption_image, fold, judged=judged))
        a_walk = 7 * 13 * (2 if ensemble else 1)
        if memory_mb:
            assert walks.tiles == a_walk  # kept
        elif order == "in order":
            assert a_walk < walks.tiles <= 1.3 * a_walk


def test_right_pairs_of_long_captions_have_the_bits_of_the_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "TEXT_TILE", 8)
    torch.manual_seed(0)
    spec = DataSpec(region_dim=10, vocabulary_size=35)
    method = SCAN(SCANParameters(embedding_dim=16, word_dim=8, direction="t2i"), spec).eval()
    lengths = [5, LONG + 9, 7, 3, 2 * LONG, *[6] * 20, LONG + 1]
    fragments = [torch.randn(1, n, 16) for n in lengths]
    texts = collected(
        (
            (Encoded(fragments=one, mask=torch.ones(1, one.shape[1], dtype=torch.bool)), torch.tensor([row]))
            for row, one in enumerate(fragments)
        ),
        len(lengths),
    )
    images = Encoded(fragments=torch.randn(6, 5, 16), mask=torch.ones(6, 5, dtype=torch.bool))
    scores = TiledScores(method, images, texts, memory_mb=0)
    matrix = np.concatenate([block for _, block in scores.blocks()])
    rows, columns = (of.reshape(-1) for of in np.indices(matrix.shape))
    np.testing.assert_array_equal(scores.pairs(rows, columns).reshape(matrix.shape), matrix)


def test_vectors_are_collected_to_their_rows() -> None:
    whole = torch.randn(50, 4)
    places = torch.randperm(50)
    parts = ((Encoded(vector=whole[rows]), rows) for rows in places.split(8))
    found = collected(parts, 50)
    assert isinstance(found, Encoded) and found.vector is not None
    assert torch.equal(found.vector, whole)


def test_long_work_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    rank(vectors(300, 900, 0), np.arange(900) % 300, np.zeros(300, np.int32))
    assert not caplog.text  # short work says nothing
    monkeypatch.setattr(Pace, "EVERY", 0.0)
    rank(vectors(300, 900, 0), np.arange(900) % 300, np.zeros(300, np.int32))
    assert "ranking: 128 of 300 images, about" in caplog.text
    assert "ranking: 256 of 300 images, about" in caplog.text
