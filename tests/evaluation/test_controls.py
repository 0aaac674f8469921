"""Chance is at its closed form, the oracle at 600, and truth forgives what the ground truth does not know."""

from __future__ import annotations

import json
from math import comb
from pathlib import Path

import numpy as np
import pytest

from lgsf.data.layout import open_dataset
from lgsf.evaluation.controls import EmbeddingScores, PairScores, _unit, control, control_scores
from lgsf.metrics.ranking import rank
from lgsf.metrics.recall import metrics
from lgsf.runs.ranks import read_ranks
from lgsf.system.errors import LgsfError
from lgsf.system.files import write_arrays


def test_random_embeddings_match_the_closed_form() -> None:
    n, captions, seeds = 40, 5, 200
    caption_image = np.repeat(np.arange(n), captions)
    rows = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        scores = EmbeddingScores(*(_unit(rng.standard_normal((k, 64), np.float32)) for k in (n, n * captions)))
        ranking = rank(scores, caption_image, np.zeros(n, np.int32))
        rows.append(metrics(ranking.i2t, ranking.t2i))
    for k in (1, 5, 10):
        # t2i: one right image among n; i2t: at least one of the five captions among the first k of 5n
        expected = {"t2i": k / n, "i2t": 1 - comb(captions * (n - 1), k) / comb(captions * n, k)}
        for direction, share in expected.items():
            values = np.array([r[f"{direction}_r{k}"] for r in rows])
            error = values.std(ddof=1) / np.sqrt(seeds)
            assert values.mean() == pytest.approx(100 * share, abs=4 * error)
            assert error < 1


def test_oracle_is_perfect_and_writes_a_run(tmp_path: Path, tiny_dataset: Path) -> None:
    control(kind="oracle", dataset=tiny_dataset, seed=0, out=tmp_path)
    for split in ("dev", "test"):
        ranks = read_ranks(tmp_path, split)
        assert metrics(ranks.i2t, ranks.t2i)["rsum"] == 600
    assert json.loads((tmp_path / "run.json").read_text())["kind"] == "control"


def test_truth_shares_the_first_ranks_among_all_true_pairs() -> None:
    # caption 0 is true of images 0 and 1: over seeds its own image comes first half of the time
    pairs = np.array([0, 1, 1]), np.array([0, 0, 1])
    first = [
        rank(PairScores((2, 2), *pairs, np.ones(3, np.float32), 0.5, seed), np.array([0, 1]), np.zeros(2, np.int32)).t2i
        for seed in range(400)
    ]
    share = np.mean([ranks[0] == 0 for ranks in first])
    assert share == pytest.approx(0.5, abs=0.1)
    assert all(ranks[1] == 0 for ranks in first)


def test_truth_needs_a_dataset_that_knows_it(tmp_path: Path, tiny_dataset: Path) -> None:
    with pytest.raises(LgsfError, match=r"relevance.npz is missing: the control 'truth' needs"):
        control(kind="truth", dataset=tiny_dataset, seed=0, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_blocks_do_not_change_between_walks() -> None:
    scores = PairScores((300, 7), np.arange(5), np.arange(5), np.ones(5, np.float32), 0.5, 3)
    walks = [np.concatenate([block for _, block in scores.blocks()]) for _ in range(2)]
    assert (walks[0] == walks[1]).all()


def test_truth_prefers_captions_that_are_true_of_few_images(tmp_path: Path, tiny_dataset: Path) -> None:
    split = open_dataset(tiny_dataset).split("test")
    n_images, own = len(split.images), split.caption_image
    common = int(np.flatnonzero(own == 1)[0])  # a caption of image 1 that is true of every image
    pairs = np.concatenate([np.stack([own, np.arange(len(own))]), [np.arange(n_images), np.full(n_images, common)]], 1)
    pairs = np.unique(pairs, axis=1)
    write_arrays(tmp_path / "relevance.npz", {"image": pairs[0], "caption": pairs[1]})
    ranking = rank(control_scores("truth", split, tmp_path, seed=0), own, np.zeros(n_images, np.int32))
    assert (ranking.i2t[np.arange(n_images) != 1] == 0).all()  # one's own caption stands before the common one
    assert (np.delete(ranking.t2i, common) == 0).all()
