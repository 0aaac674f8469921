"""Ranks of all positives and their measures: hand-worked, a slow independent version, ir-measures, odd shapes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lgsf.data.positives import positives_of
from lgsf.metrics.ranking import MatrixScores, contiguous_folds, rank
from lgsf.metrics.relevance import Positives, RelevanceRanks, measures
from lgsf.runs.beside.relevance import read_relevance, write_relevance
from lgsf.system.errors import LgsfError
from tests.conftest import write_tiny_dataset


def positives(i2t, t2i=None) -> Positives:
    """From lists of pairs (query, candidate), sorted here."""
    t2i = [(caption, image) for image, caption in i2t] if t2i is None else t2i
    sides = (np.array(sorted(pairs), np.int64).reshape(-1, 2) for pairs in (i2t, t2i))
    return Positives(*((pairs[:, 0], pairs[:, 1]) for pairs in sides), source={})


def ranks(matrix, sets, *, rows=2, caption_image=None):
    matrix = np.asarray(matrix, np.float32)
    watcher = RelevanceRanks(sets, matrix.shape)
    caption_image = np.arange(matrix.shape[1]) % len(matrix) if caption_image is None else caption_image
    rank(MatrixScores(matrix, rows=rows), caption_image, contiguous_folds(len(matrix), 1), watchers=[watcher])
    return watcher.arrays()


def slow_measures(scores, right):
    """One query at a time, by the words of the definition; wrong candidates first among equal scores.

    scores  (n_queries, n_candidates); right: query -> set of candidates, some of them perhaps outside
    """
    values = {"r1": [], "r5": [], "r10": [], "r_precision": [], "map_at_r": []}
    for query, own in right.items():
        candidates = range(scores.shape[1])
        order = sorted(candidates, key=lambda c: (-scores[query, c], c in own))
        hits = [c in own for c in order]
        for k in (1, 5, 10):
            values[f"r{k}"].append(any(hits[:k]))
        values["r_precision"].append(sum(hits[: len(own)]) / len(own))
        values["map_at_r"].append(
            sum(sum(hits[: i + 1]) / (i + 1) for i in range(min(len(own), len(hits))) if hits[i]) / len(own)
        )
    return {name: 100 * np.mean(found) for name, found in values.items()}


def test_hand_worked() -> None:
    # Image 0: captions 0, 3 are right. Order 1, 0, 3, 2 -> ranks 1, 2; R = 2, so one of two places is right.
    # Image 1: captions 1, 2, 3 are right. Order 2, 0, 1, 3 -> ranks 0, 2, 3; R = 3.
    found = ranks([[0.8, 0.9, 0.1, 0.7], [0.6, 0.5, 0.9, 0.1]], {"true": positives([(0, 0), (0, 3), (1, 1), (1, 2), (1, 3)])})  # fmt: skip
    assert found["true_i2t_query"].tolist() == [0, 0, 1, 1, 1]
    assert found["true_i2t_rank"].tolist() == [1, 2, 0, 2, 3]
    assert measures(found["true_i2t_query"], found["true_i2t_rank"]) == pytest.approx(
        {
            "r1": 50.0,
            "r5": 100.0,
            "r10": 100.0,
            "r_precision": 100 * (1 / 2 + 2 / 3) / 2,
            "map_at_r": 100 * ((1 / 2) / 2 + (1 + 2 / 3) / 3) / 2,
        }
    )
    # Captions ask for images: 0 -> {0}, 1 -> {1}, 2 -> {1}, 3 -> {0, 1}.
    assert found["true_t2i_query"].tolist() == [0, 1, 2, 3, 3]
    assert found["true_t2i_rank"].tolist() == [0, 1, 0, 0, 1]


def test_ties_count_against_the_model_but_not_among_positives() -> None:
    found = ranks(np.zeros((2, 4)), {"true": positives([(0, 0), (0, 1), (1, 2)])})
    assert found["true_i2t_rank"].tolist() == [2, 3, 3]  # two and three wrong captions stand at the same score
    one = ranks([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]], {"true": positives([(0, 0), (0, 1), (1, 3)])})
    assert one["true_i2t_rank"].tolist() == [0, 1, 0]


@pytest.mark.parametrize("rows", [1, 5, 64])
def test_equals_the_slow_version(rows: int) -> None:
    """Many ties, uneven numbers of positives, two sets that differ per direction, queries without any."""
    rng = np.random.default_rng(rows)
    matrix = rng.integers(0, 9, (23, 61)).astype(np.float32)
    sets, rights = {}, {}
    for name, share in (("true", 0.2), ("eccv", 0.04)):
        true = [rng.random(shape) < share for shape in (matrix.shape, matrix.T.shape)]
        pairs = [[tuple(pair) for pair in np.argwhere(side).tolist()] for side in true]
        pairs[0] += [(3, 61), (3, 62)]  # captions that are not in the gallery
        sets[name] = positives(*pairs)
        rights[name] = [{q: {c for p, c in side if p == q} for q, _ in side} for side in pairs]
    found = ranks(matrix, sets, rows=rows)
    for name, sides in rights.items():
        for direction, scores, right in zip(("i2t", "t2i"), (matrix, matrix.T), sides, strict=True):
            query, place = found[f"{name}_{direction}_query"], found[f"{name}_{direction}_rank"]
            assert query.tolist() == sorted(q for q, own in right.items() for _ in own)
            assert measures(query, place) == pytest.approx(slow_measures(scores, right))


def test_own_pairs_give_the_ranks_of_the_protocol() -> None:
    """With nothing but the own pairs right, the best positive stands where the protocol has it."""
    rng = np.random.default_rng(0)
    caption_image = np.concatenate([np.arange(12), rng.integers(0, 12, 30)])
    matrix = rng.integers(0, 20, (12, 42)).astype(np.float32)
    own = positives([(int(image), caption) for caption, image in enumerate(caption_image)])
    found = ranks(matrix, {"true": own}, caption_image=caption_image)
    protocol = rank(MatrixScores(matrix), caption_image, contiguous_folds(12, 1))
    first = np.unique(found["true_i2t_query"], return_index=True)[1]
    assert found["true_i2t_rank"][first].tolist() == protocol.i2t.tolist()
    assert found["true_t2i_rank"].tolist() == protocol.t2i.tolist()


def test_equals_ir_measures() -> None:
    """R-precision as trec_eval has it, and mAP@R as its AP cut at each query's own R."""
    import ir_measures
    from ir_measures import AP, Rprec

    rng = np.random.default_rng(5)
    matrix = rng.permutation(30 * 90).reshape(30, 90).astype(np.float32)
    true = rng.random(matrix.shape) < 0.1
    true[:, 0] = True
    found = ranks(matrix, {"true": positives([tuple(pair) for pair in np.argwhere(true).tolist()])})
    ours = measures(found["true_i2t_query"], found["true_i2t_rank"])
    qrels = [ir_measures.Qrel(str(q), str(c), 1) for q, c in np.argwhere(true)]
    scored = [ir_measures.ScoredDoc(str(q), str(c), float(s)) for (q, c), s in np.ndenumerate(matrix)]
    assert ours["r_precision"] == pytest.approx(100 * ir_measures.calc_aggregate([Rprec], qrels, scored)[Rprec])
    cuts = {str(q): AP @ int(r) for q, r in enumerate(true.sum(axis=1))}
    each = ir_measures.iter_calc(list(set(cuts.values())), qrels, scored)
    theirs = [m.value for m in each if m.measure == cuts[m.query_id]]
    assert len(theirs) == 30 and ours["map_at_r"] == pytest.approx(100 * np.mean(theirs))


def test_no_positives_have_no_measure() -> None:
    assert all(np.isnan(value) for value in measures(np.zeros(0, np.int32), np.zeros(0, np.int32)).values())


def test_written_and_read_again(tmp_path: Path) -> None:
    sets = {"true": positives([(0, 0), (0, 1), (1, 1)])}
    watcher = RelevanceRanks(sets, (2, 2))
    rank(MatrixScores(np.eye(2, dtype=np.float32)), np.arange(2), np.zeros(2, int), watchers=[watcher])
    write_relevance(tmp_path, watcher, sets, {"eccv": "because"}, {})
    read = read_relevance(tmp_path)
    assert read.absent == {"eccv": "because"} and list(read.sets) == ["true"]
    assert [side.tolist() for side in read.sets["true"]["i2t"]] == [[0, 0, 1], [0, 1, 0]]
    (tmp_path / "relevance.npz").write_bytes(b"nothing")
    with pytest.raises(LgsfError, match=r"relevance.npz is not a readable .npz file .*: evaluate the run again"):
        read_relevance(tmp_path)


def test_a_dataset_that_knows_nothing_says_so(tmp_path: Path) -> None:
    from lgsf.data.layout import open_dataset

    write_tiny_dataset(tmp_path / "tiny")
    found, absent = positives_of(open_dataset(tmp_path / "tiny").split("test"), tmp_path / "tiny" / "test")
    assert not found
    assert absent["true"] == "the dataset does not say which captions are true of which images"
    assert absent["eccv"] == absent["cxc"] == "the split is not COCO's 5K test split with COCO's ids"
