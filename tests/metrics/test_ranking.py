"""Ranks against hand-worked matrices, a slow independent version, published numbers and ir-measures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lgsf.metrics.ranking import MatrixScores, contiguous_folds, rank
from lgsf.metrics.recall import metrics
from lgsf.system.errors import LgsfError


def run(matrix, caption_image, folds=1, **options):
    matrix = np.asarray(matrix, np.float32)
    return rank(MatrixScores(matrix, rows=options.pop("rows", 2)), np.asarray(caption_image),
                contiguous_folds(len(matrix), folds), **options)  # fmt: skip


def slow_ranks(matrix, caption_image, fold):
    """One query at a time, by the words of the definition."""
    i2t, t2i = [], []
    for image, row in enumerate(matrix):
        own = [c for c, i in enumerate(caption_image) if i == image]
        best = max(row[c] for c in own)
        i2t.append(sum(1 for c, i in enumerate(caption_image)
                       if i != image and fold[i] == fold[image] and row[c] >= best))  # fmt: skip
    for caption, image in enumerate(caption_image):
        score = matrix[image][caption]
        t2i.append(sum(1 for i in range(len(matrix))
                       if i != image and fold[i] == fold[image] and matrix[i][caption] >= score))  # fmt: skip
    return i2t, t2i


def test_hand_worked() -> None:
    # Captions 0, 2 belong to image 0, captions 1, 3, 4 to image 1.
    result = run([[0.9, 0.8, 0.1, 0.3, 0.2], [0.5, 0.4, 0.7, 0.6, 0.0]], [0, 1, 0, 1, 1])
    assert result.i2t.tolist() == [0, 1]  # image 1: caption 2 (0.7) stands above its best (0.6)
    assert result.t2i.tolist() == [0, 1, 1, 0, 1]
    assert metrics(result.i2t, result.t2i) == {
        "i2t_r1": 50.0, "i2t_r5": 100.0, "i2t_r10": 100.0, "i2t_medr": 1.0, "i2t_meanr": 1.5,
        "t2i_r1": 40.0, "t2i_r5": 100.0, "t2i_r10": 100.0, "t2i_medr": 2.0, "t2i_meanr": 1.6,
        "rsum": pytest.approx(490.0),
    }  # fmt: skip
    assert result.i2t_top[0].tolist() == [0, 1, 3, 4, 2]
    assert result.t2i_top[:, 0].tolist() == [0, 0, 1, 1, 0]


def test_all_equal_scores_rank_last() -> None:
    result = run(np.zeros((3, 6)), [0, 0, 1, 1, 2, 2])
    assert result.i2t.tolist() == [4, 4, 4]  # four captions of other images, own ones do not count
    assert result.t2i.tolist() == [2] * 6


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_scores_are_an_error(value: float) -> None:
    matrix = np.eye(3, dtype=np.float32)
    matrix[1, 2] = value
    with pytest.raises(LgsfError, match="image row 1 and caption row 2"):
        run(matrix, [0, 1, 2])


@pytest.mark.parametrize(("folds", "rows"), [(1, 1), (1, 7), (4, 3), (4, 100)])
def test_equals_the_slow_version_with_ties_and_uneven_captions(folds: int, rows: int) -> None:
    rng = np.random.default_rng(folds + rows)
    caption_image = np.concatenate([np.arange(20), rng.integers(0, 20, 41)])
    rng.shuffle(caption_image)
    matrix = rng.integers(0, 12, (20, len(caption_image))).astype(np.float32)  # few values: many ties
    result = run(matrix, caption_image, folds, rows=rows)
    fold = np.repeat(np.arange(folds), 20 // folds)
    i2t, t2i = slow_ranks(matrix, caption_image, np.zeros(20))
    assert (result.i2t.tolist(), result.t2i.tolist()) == (i2t, t2i)
    i2t, t2i = slow_ranks(matrix, caption_image, fold)
    assert (result.i2t_fold.tolist(), result.t2i_fold.tolist()) == (i2t, t2i)


def test_top_and_judged_do_not_depend_on_blocks() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.permutation(30 * 60).reshape(30, 60).astype(np.float32)
    caption_image = np.repeat(np.arange(30), 2)
    judged = (np.array([3, 29, 3]), np.array([0, 59, 7]))
    results = [run(matrix, caption_image, rows=rows, judged=judged, top=5) for rows in (1, 4, 30)]
    for result in results:
        assert result.i2t_top.tolist() == np.argsort(-matrix, axis=1)[:, :5].tolist()
        assert result.t2i_top.tolist() == np.argsort(-matrix.T, axis=1)[:, :5].tolist()
        assert result.judged_score.tolist() == [matrix[3, 0], matrix[29, 59], matrix[3, 7]]
        assert (result.t2i_top_score == np.take_along_axis(matrix.T, result.t2i_top, 1)).all()


def test_published_evaluation_code() -> None:
    """The field's own evaluation on a fixed matrix: ranks, recalls, median and mean, whole and in five folds."""
    golden = np.load(Path(__file__).parents[1] / "golden" / "retrieval.npz", allow_pickle=False)
    result = run(golden["sims"], golden["caption_image"], folds=5, rows=33)
    assert (result.i2t == golden["all_i2t_ranks"]).all()
    assert (result.t2i == golden["all_t2i_ranks"]).all()
    for direction in ("i2t", "t2i"):
        own = metrics(result.i2t, result.t2i)
        names = [f"{direction}_{m}" for m in ("r1", "r5", "r10", "medr", "meanr")]
        assert [own[n] for n in names] == pytest.approx(golden[f"all_{direction}"].tolist())
    per_fold = {"i2t": result.i2t_fold.reshape(5, 20), "t2i": result.t2i_fold.reshape(5, 100)}
    for fold in range(5):
        for direction in ("i2t", "t2i"):
            assert (per_fold[direction][fold] == golden[f"fold{fold}_{direction}_ranks"]).all()


def test_five_fold_mean_is_the_mean_of_recalls() -> None:
    """The mean over equal folds is the recall over all queries, and never six times one direction's mean."""
    golden = np.load(Path(__file__).parents[1] / "golden" / "retrieval.npz", allow_pickle=False)
    result = run(golden["sims"], golden["caption_image"], folds=5)
    own = metrics(result.i2t_fold, result.t2i_fold)
    for direction in ("i2t", "t2i"):
        published = np.mean([golden[f"fold{f}_{direction}"][:3] for f in range(5)], axis=0)
        assert [own[f"{direction}_r{k}"] for k in (1, 5, 10)] == pytest.approx(published.tolist())
    assert own["rsum"] == pytest.approx(sum(own[f"{d}_r{k}"] for d in ("i2t", "t2i") for k in (1, 5, 10)))


def test_equals_ir_measures_success() -> None:
    import ir_measures
    from ir_measures import Success

    rng = np.random.default_rng(5)
    caption_image = np.repeat(np.arange(40), 5)
    matrix = rng.permutation(40 * 200).reshape(40, 200).astype(np.float32)
    matrix[caption_image, np.arange(200)] += 5000
    result = run(matrix, caption_image)
    own = metrics(result.i2t, result.t2i)
    wanted = [Success @ k for k in (1, 5, 10)]
    for direction, scores, relevant in (
        ("i2t", matrix, caption_image[None, :] == np.arange(40)[:, None]),
        ("t2i", matrix.T, caption_image[:, None] == np.arange(40)[None, :]),
    ):
        qrels = [ir_measures.Qrel(str(q), str(d), 1) for q, d in np.argwhere(relevant)]
        run_ = [ir_measures.ScoredDoc(str(q), str(d), float(s)) for (q, d), s in np.ndenumerate(scores)]
        theirs = ir_measures.calc_aggregate(wanted, qrels, run_)
        for k in (1, 5, 10):
            assert own[f"{direction}_r{k}"] == pytest.approx(100 * theirs[Success @ k])


def test_folds_must_be_equal() -> None:
    with pytest.raises(LgsfError, match="101 test images cannot be cut into 5"):
        contiguous_folds(101, 5)


def test_an_image_without_caption_is_refused() -> None:
    with pytest.raises(ValueError, match="no caption"):
        run(np.eye(3), [0, 1, 1])
