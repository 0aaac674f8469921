"""What a notebook does with a trained run: open, encode, search, rank, compare, look."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import lgsf
from lgsf.config.experiment import Experiment
from lgsf.evaluation.evaluate import evaluate
from lgsf.runs.ranks import read_ranks
from lgsf.tables.collect import collect
from lgsf.tables.finished import Finished
from lgsf.tables.tests import experiment_tests
from lgsf.training.train import train
from tests.conftest import write_config

pytestmark = pytest.mark.seconds
SCAN = {"embedding_dim": 16, "word_dim": 8, "direction": "t2i", "aggregation": "mean"}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, tiny_dataset: Path) -> Path:
    """Evaluated runs: two methods, three seeds each, under `tiny`."""
    root = tmp_path_factory.mktemp("results")
    for method, model, parameters in (("one", "baselines.vsepp:VSEPP", None), ("two", "baselines.scan:SCAN", SCAN)):
        config = write_config(root / f"{method}.json", model=model, parameters=parameters, epochs=2)
        config.write_text(config.read_text().replace('"tried"', f'"{method}"'))
        for seed in range(3):
            out = root / "tiny" / method / f"seed{seed}"
            train(config=config, dataset=tiny_dataset, seed=seed, out=out)
            evaluate(run=out, dataset=tiny_dataset, memory_mb=64)
    return root


def test_datasets_say_what_they_are(tiny_dataset: Path) -> None:
    data = lgsf.open_dataset(str(tiny_dataset))
    assert repr(data) == f"<dataset tiny: images train 48, dev 12, test 12; {len(data.vocabulary())} words>"
    test = data.split("test")
    assert repr(test) == f"<test split of tiny: 12 images, {len(test.captions)} captions>"
    assert len(test) == 12 and test.image_fold.tolist() == [0] * 6 + [1] * 6
    assert not data.split("dev").image_fold.any()
    with pytest.raises(lgsf.LgsfError, match="has no split 'testall', but train, dev, test"):
        data.split("testall")
    with pytest.raises(lgsf.LgsfError, match=r"dataset\.json is missing"):
        lgsf.open_dataset("no/such/folder")


@pytest.mark.parametrize("method", ["one", "two"])
def test_scores_of_a_run_give_the_ranks_of_its_tables(results: Path, tiny_dataset: Path, method: str) -> None:
    """Vectors and fragments alike: the notebook sees the numbers that stand in the report."""
    folder = results / "tiny" / method / "seed1"
    data = lgsf.open_dataset(tiny_dataset)
    run, test = lgsf.load_run(folder, data), data.split("test")
    scores = run.scores(test)
    assert scores.shape == (12, len(test.captions)) and scores.dtype == np.float32
    own, kept = lgsf.rank(scores, test), read_ranks(folder)
    assert own.metrics() == kept.metrics() and list(own.metrics()) == ["folds", "full"]
    for name in ("i2t", "t2i", "i2t_fold", "t2i_fold"):
        np.testing.assert_array_equal(getattr(own, name), getattr(kept, name))
    assert own.queries == kept.queries
    assert f"rSum {kept.metrics()['folds']['rsum']:.1f}" in repr(own) and "2 folds" in repr(own)
    assert repr(run).startswith(f"<run {method} on tiny, seed 1: ") and "dev rSum" in repr(run) and len(repr(run)) < 90

    best = run.search(list(test.captions["text"]), test, k=3)
    np.testing.assert_array_equal(scores.T[np.arange(len(best))[:, None], best], -np.sort(-scores.T)[:, :3])
    images = run.encode_images(test)
    assert torch.equal(run.search("a red circle", images), run.search(["a red circle"], test, k=5))
    assert len(run.encode_texts(["a star"] * 600)) == 600


def test_runs_of_the_wrong_kind_are_refused(results: Path, tiny_dataset: Path, tmp_path: Path) -> None:
    folder = results / "tiny/one/seed0"
    with pytest.raises(lgsf.LgsfError, match="does not bring its dataset: name the prepared dataset"):
        lgsf.load_run(folder)
    run, test = lgsf.load_run(folder, tiny_dataset), lgsf.open_dataset(tiny_dataset).split("test")
    with pytest.raises(lgsf.LgsfError, match="its mask and boxes are its own"):
        run.encode_images(test, torch.ones(12, 5, dtype=torch.bool))
    with pytest.raises(lgsf.LgsfError, match=r"write \[caption\]"):
        run.encode_texts("a red circle")
    with pytest.raises(lgsf.LgsfError, match="no picture, the first is row 3: name their folder as photos"):
        test.show(["a"], [[3]])
    with pytest.raises(lgsf.LgsfError, match="whole numbers from 0 to 11"):
        test.show(["a"], [[12]])
    with pytest.raises(lgsf.LgsfError, match="2 captions, images of shape"):
        test.show(["a", "b"], [[1]])


def naive(scores: np.ndarray, caption_image: np.ndarray) -> tuple[list[int], list[int]]:
    """Ranks by the words of the protocol: how many wrong candidates stand at or above the right one."""
    i2t, t2i = [], []
    for image, row in enumerate(scores):
        best = max(row[caption_image == image])
        i2t.append(sum(bool(score >= best) for score, own in zip(row, caption_image, strict=True) if own != image))
    for caption, own in enumerate(caption_image):
        column = scores[:, caption]
        t2i.append(sum(bool(score >= column[own]) for image, score in enumerate(column) if image != own))
    return i2t, t2i


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.float16, np.int64, "tensor", "bfloat16", "list"])
def test_any_matrix_is_ranked(kind: object) -> None:
    rng = np.random.default_rng(0)
    caption_image = np.array([2, 0, 1, 1, 3, 0, 2])
    plain = rng.integers(0, 6, (4, 7)).astype(float)  # with ties
    scores = {"tensor": torch.tensor(plain), "bfloat16": torch.tensor(plain, dtype=torch.bfloat16), "list": plain.tolist()}  # fmt: skip
    given = scores[kind] if isinstance(kind, str) else plain.astype(kind)
    ranked = lgsf.rank(given, caption_image.tolist())
    assert (ranked.i2t.tolist(), ranked.t2i.tolist()) == naive(plain, caption_image)
    folded = lgsf.rank(given, caption_image, folds=2)
    assert list(folded.metrics()) == ["folds", "full"] and folded.queries != ranked.queries


@pytest.mark.parametrize(
    ("scores", "captions", "said"),
    [
        (np.zeros((2, 3)), [0, 1], r"shape \(2, 3\), not \(2, 2\); one row per image"),
        (np.zeros((3, 2)), [0, 1], "from 0 to 1|no caption"),
        (np.zeros((2, 3)), [0, 0, 2], "name images from 0 to 2, and the scores have 2 rows"),
        (np.zeros((2, 3)), [0, 0, 0], "the image in row 1 of the scores has no caption"),
        (np.zeros((2, 3)), [0.0, 1.0, 1.0], "one whole number for each caption"),
        (np.zeros(3), [0, 1, 1], r"not float64 of shape \(3,\)"),
        (np.array([["a"]]), [0], "table of real numbers"),
        (np.array([[np.nan, 1.0], [0.0, 1.0]]), [0, 1], "image row 0 and caption row 0 is nan"),
        (np.array([[2**60 + 1, 2**60]]), [0, 0], "cannot tell apart"),
    ],
)
def test_matrices_that_cannot_be_ranked(scores: np.ndarray, captions: list[int], said: str) -> None:
    with pytest.raises(lgsf.LgsfError, match=said):
        lgsf.rank(scores, captions)


def test_scores_that_stand_the_wrong_way_round(tiny_dataset: Path) -> None:
    test = lgsf.open_dataset(tiny_dataset).split("test")
    with pytest.raises(lgsf.LgsfError, match="they are transposed, one row per caption"):
        lgsf.rank(np.zeros((len(test.captions), 12)), test)
    with pytest.raises(lgsf.LgsfError, match="takes the folds of the split"):
        lgsf.rank(np.zeros((12, len(test.captions))), test, folds=3)


def test_a_comparison_says_what_the_tables_say(results: Path, tiny_dataset: Path) -> None:
    entries = [{"name": name, "title": name} for name in ("one", "two")]
    experiment = Experiment.model_validate(
        {"experiment": "x", "datasets": ("tiny",), "seeds": (0, 1, 2), "methods": tuple(entries), "reference": "one"}
    )
    finished = Finished(results)
    tables = experiment_tests(experiment, collect(experiment, finished), finished)
    tables = tables[tables["protocol"] == "folds"].reset_index(drop=True)
    found = lgsf.compare(results / "tiny", reference="one")
    assert found.tests is not None and found.reference == "one"
    shared = [name for name in found.tests if name in tables]
    for name in shared:
        assert found.tests[name].equals(tables[name]), name
    assert found.summary["method"].tolist() == ["one", "two"] and found.summary["runs"].tolist() == [3, 3]
    assert len(found.findings) == 3 and all("corrected p" in line for line in found.findings)
    assert "two against one, rSum" in repr(found) and len(repr(found)) < 2000
    assert "<table" in found._repr_html_() and "<li>" in found._repr_html_()

    opened = [lgsf.load_run(results / f"tiny/{name}/seed0", tiny_dataset) for name in ("one", "two")]
    assert lgsf.compare(opened).summary["runs"].tolist() == [1, 1]
    listed = lgsf.compare(sorted((results / "tiny").glob("*/seed*")), reference="one", protocol="full")
    assert listed.tests is not None and set(listed.tests["protocol"]) == {"full"}


def test_scores_of_ones_own_stand_beside_runs(results: Path, tiny_dataset: Path) -> None:
    test = lgsf.open_dataset(tiny_dataset).split("test")
    own = np.random.default_rng(0).random((12, len(test.captions)))
    runs = [results / f"tiny/one/seed{seed}" for seed in range(3)]
    found = lgsf.compare({"one": runs, "mine": lgsf.rank(own, test)}, reference="mine", resamples=200)
    assert found.tests is not None and set(found.tests["seeds_other"]) == {1}
    assert all("these trained models alone" in line for line in found.findings)
    alone = lgsf.compare({"mine": lgsf.rank(own, test)})
    assert alone.tests is None and alone.findings == [] and "mine" in repr(alone)
    with pytest.raises(lgsf.LgsfError, match="ranked different queries"):
        lgsf.compare({"one": runs, "mine": lgsf.rank(own, test.caption_image)})


def test_comparisons_that_mean_nothing(results: Path, tiny_dataset: Path, tmp_path: Path) -> None:
    run = results / "tiny/one/seed0"
    with pytest.raises(lgsf.LgsfError, match="is named twice"):
        lgsf.compare({"one": [run], "other": [run]})
    with pytest.raises(lgsf.LgsfError, match="no run of the reference 'no'"):
        lgsf.compare(results / "tiny", reference="no")
    with pytest.raises(lgsf.LgsfError, match="holds no evaluated run"):
        lgsf.compare(tmp_path)
    with pytest.raises(lgsf.LgsfError, match="there is no run to compare"):
        lgsf.compare([])
    with pytest.raises(lgsf.LgsfError, match=r"what lgsf\.rank gave, not int"):
        lgsf.compare({"one": [3]})  # type: ignore[list-item]
    opened = lgsf.load_run(run, tiny_dataset)
    with pytest.raises(lgsf.LgsfError, match="is named twice"):
        lgsf.compare({"one": [run, opened]})
    shutil.copytree(run, tmp_path / "seed0")
    record = (tmp_path / "seed0/run.json").read_text()
    (tmp_path / "seed0/run.json").write_text(record.replace('"method": "one"', '"method": "two"'))
    with pytest.raises(lgsf.LgsfError, match="not what was written there"):
        lgsf.compare([run, tmp_path / "seed0"])
