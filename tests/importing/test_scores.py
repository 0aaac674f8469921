"""Scores of any code become a run; what does not fit is refused in one sentence and leaves nothing behind."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lgsf.cli import main
from lgsf.data.layout import Split, open_dataset
from lgsf.importing.scores import import_scores, slug
from lgsf.metrics.ranking import MatrixScores, contiguous_folds, rank
from lgsf.runs.facts import read_facts
from lgsf.runs.origin import read_evaluated
from lgsf.runs.ranks import read_ranks
from lgsf.runs.record import read_record
from lgsf.system.errors import LgsfError


@pytest.fixture
def split(tiny_dataset: Path) -> Split:
    return open_dataset(tiny_dataset).split("test")


@pytest.fixture
def matrix(split: Split) -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((len(split.images), len(split.captions))).astype(np.float32)


def saved(folder: Path, array: npt.NDArray[Any], name: str = "scores.npy") -> Path:
    np.save(folder / name, array)
    return folder / name


def imported(tmp_path: Path, tiny_dataset: Path, **options: Any) -> Path:
    defaults: dict[str, Any] = {"split": "test", "name": "My model", "seed": 0}
    return import_scores(dataset=tiny_dataset, results=tmp_path / "results", **{**defaults, **options})


def test_a_matrix_becomes_a_run(tmp_path: Path, tiny_dataset: Path, split: Split, matrix: npt.NDArray[Any]) -> None:
    run = imported(tmp_path, tiny_dataset, scores=saved(tmp_path, matrix), seed=3)
    assert run == tmp_path / "results/tiny/my_model/seed3"
    expected = rank(MatrixScores(matrix), split.caption_image, contiguous_folds(len(split.images), 2))
    ranks = read_ranks(run)
    for name in ("i2t", "t2i", "i2t_fold", "t2i_fold"):
        np.testing.assert_array_equal(getattr(ranks, name), getattr(expected, name))
    facts = read_facts(run)
    assert (facts.kind, facts.method, facts.title, facts.seed) == ("imported", "my_model", "My model", 3)
    assert facts.config["imported"]["test"]["scores"]["file"] == "scores.npy"
    assert facts.parameters is None
    assert facts.inputs == {"text": "unknown", "visual": "unknown", "ensemble": "unknown"}


def test_what_is_said_of_the_model_is_kept(
    tmp_path: Path, tiny_dataset: Path, split: Split, matrix: npt.NDArray[Any]
) -> None:
    scores = saved(tmp_path, matrix)
    said = ["--text-encoder", "BERT", "--features", "grid", "--ensemble", "yes"]
    verb = ["import-scores", "--dataset", tiny_dataset, "--split", "test", "--name", "x", "--scores", scores]
    main([str(a) for a in [*verb, "--results", tmp_path / "results", *said]])
    run = tmp_path / "results/tiny/x/seed0"
    assert read_facts(run).inputs == {"text": "BERT", "visual": "grid", "ensemble": "yes"}
    main([str(a) for a in [*verb, "--results", tmp_path / "results", "--ensemble", "no"]])
    assert read_facts(run).inputs == {"text": "BERT", "visual": "grid", "ensemble": "no"}


@pytest.mark.parametrize("dtype", ["float16", "float64", "int32"])
def test_other_number_types_and_memory_orders(
    tmp_path: Path, tiny_dataset: Path, matrix: npt.NDArray[Any], dtype: str
) -> None:
    whole = (100 * matrix).round()
    first = imported(tmp_path, tiny_dataset, scores=saved(tmp_path, whole))
    turned = np.asfortranarray(whole.astype(dtype))
    second = imported(tmp_path, tiny_dataset, scores=saved(tmp_path, turned), name="other")
    np.testing.assert_array_equal(read_ranks(first).t2i, read_ranks(second).t2i)


def test_vectors_are_compared_by_cosine(tmp_path: Path, tiny_dataset: Path, split: Split) -> None:
    generator = np.random.default_rng(1)
    images, captions = (generator.standard_normal((n, 8)) for n in (len(split.images), len(split.captions)))
    cosine = (images / np.linalg.norm(images, axis=1, keepdims=True)) @ (
        captions / np.linalg.norm(captions, axis=1, keepdims=True)
    ).T
    by_matrix = imported(tmp_path, tiny_dataset, scores=saved(tmp_path, cosine), name="matrix")
    by_vectors = imported(
        tmp_path, tiny_dataset, name="vectors",
        images=saved(tmp_path, 3 * images, "i.npy"), captions=saved(tmp_path, captions, "c.npy"),
    )  # fmt: skip
    np.testing.assert_array_equal(read_ranks(by_matrix).i2t, read_ranks(by_vectors).i2t)
    np.testing.assert_array_equal(read_ranks(by_matrix).t2i, read_ranks(by_vectors).t2i)


@pytest.mark.parametrize("form", ["matrix", "vectors"])
def test_ids_undo_any_order(tmp_path: Path, tiny_dataset: Path, split: Split, form: str) -> None:
    generator = np.random.default_rng(2)
    images, captions = (generator.standard_normal((n, 8)) for n in (len(split.images), len(split.captions)))
    rows, columns = generator.permutation(len(images)), generator.permutation(len(captions))
    named = {
        "images": split.images["image_id"].to_numpy()[rows].tolist(),
        "captions": split.captions["caption_id"].to_numpy()[columns].tolist(),
    }
    ids = tmp_path / "ids.json"
    ids.write_text(json.dumps(named))
    shuffled: dict[str, Path]
    if form == "matrix":
        straight = {"scores": saved(tmp_path, images @ captions.T, "a.npy")}
        shuffled = {"scores": saved(tmp_path, (images @ captions.T)[np.ix_(rows, columns)], "b.npy")}
    else:
        straight = {"images": saved(tmp_path, images, "a.npy"), "captions": saved(tmp_path, captions, "b.npy")}
        shuffled = {
            "images": saved(tmp_path, images[rows], "c.npy"),
            "captions": saved(tmp_path, captions[columns], "d.npy"),
        }
    first = imported(tmp_path, tiny_dataset, name="straight", **straight)
    second = imported(tmp_path, tiny_dataset, name="shuffled", ids=ids, **shuffled)
    np.testing.assert_array_equal(read_ranks(first).i2t, read_ranks(second).i2t)
    np.testing.assert_array_equal(read_ranks(first).t2i, read_ranks(second).t2i)


def test_a_second_split_is_added(tmp_path: Path, tiny_dataset: Path, matrix: npt.NDArray[Any]) -> None:
    dev = open_dataset(tiny_dataset).split("dev")
    imported(tmp_path, tiny_dataset, scores=saved(tmp_path, matrix))
    scores = saved(tmp_path, np.zeros((len(dev.images), len(dev.captions))), "dev.npy")
    run = imported(tmp_path, tiny_dataset, split="dev", scores=scores)
    assert set(read_facts(run).config["imported"]) == {"dev", "test"}
    assert len(read_ranks(run, "dev").i2t) == len(dev.images)
    assert len(read_ranks(run, "test").i2t) == len(matrix)


def bad_matrices(matrix: npt.NDArray[Any]) -> dict[str, tuple[npt.NDArray[Any], str]]:
    n_images, n_captions = matrix.shape
    broken = matrix.copy()
    broken[4, 2] = np.nan
    return {
        "transposed": (
            matrix.T,
            rf"not \({n_images}, {n_captions}\): it is transposed, one row per caption; save scores.T",
        ),
        "repeated": (np.zeros((n_captions, n_captions)), "every image stands there once per caption"),
        "short": (matrix[:-1], "one row per image and one column per caption of the test split"),
        "not finite": (broken, "row 4, holds a score that is not finite"),
        "vector": (matrix[0], "must be a table of real numbers, not 1-dimensional float32"),
        "complex": (matrix.astype(complex), "must be a table of real numbers, not 2-dimensional complex128"),
        "truth values": (matrix > 0, "not 2-dimensional bool"),
    }


@pytest.mark.parametrize("kind", ["transposed", "repeated", "short", "not finite", "vector", "complex", "truth values"])
def test_bad_matrices_are_refused(tmp_path: Path, tiny_dataset: Path, matrix: npt.NDArray[Any], kind: str) -> None:
    array, message = bad_matrices(matrix)[kind]
    with pytest.raises(LgsfError, match=message):
        imported(tmp_path, tiny_dataset, scores=saved(tmp_path, array))
    assert not (tmp_path / "results").exists()


def test_bad_files_are_refused(tmp_path: Path, tiny_dataset: Path, matrix: npt.NDArray[Any]) -> None:
    np.save(tmp_path / "objects.npy", np.array([[{}]], dtype=object))
    np.savez(tmp_path / "many.npz", a=matrix)
    (tmp_path / "text.npy").write_text("0.1 0.2")
    for file, message in (
        ("gone.npy", "is missing: check its name"),
        ("objects.npy", "is not a readable .npy array"),
        ("many.npz", "is an archive of arrays"),
        ("text.npy", "is not a readable .npy array"),
    ):
        with pytest.raises(LgsfError, match=message):
            imported(tmp_path, tiny_dataset, scores=tmp_path / file)


def test_bad_vectors_are_refused(tmp_path: Path, tiny_dataset: Path, split: Split) -> None:
    images, captions = np.ones((len(split.images), 4)), np.ones((len(split.captions), 4))
    zero = images.copy()
    zero[5] = 0
    for i, c, message in (
        (images[1:], captions, "one vector per image of the test split"),
        (images, images, "one vector per caption"),
        (images, captions[:, :3], "hold vectors of 4 and 3 numbers"),
        (zero, captions, "i.npy, row 5, is zero or not finite"),
    ):
        with pytest.raises(LgsfError, match=message):
            imported(tmp_path, tiny_dataset, images=saved(tmp_path, i, "i.npy"), captions=saved(tmp_path, c, "c.npy"))
    assert not (tmp_path / "results").exists()


def test_one_form_of_one_model(tmp_path: Path, tiny_dataset: Path, matrix: npt.NDArray[Any]) -> None:
    scores = saved(tmp_path, matrix)
    for options in ({}, {"images": scores}, {"scores": scores, "images": scores, "captions": scores}):
        with pytest.raises(LgsfError, match="give either --scores, or --images and --captions"):
            imported(tmp_path, tiny_dataset, **options)
    with pytest.raises(LgsfError, match="--split must be dev or test, not 'train'"):
        imported(tmp_path, tiny_dataset, scores=scores, split="train")


def test_bad_ids_are_refused(tmp_path: Path, tiny_dataset: Path, split: Split, matrix: npt.NDArray[Any]) -> None:
    images, captions = split.images["image_id"].tolist(), split.captions["caption_id"].tolist()
    scores, ids = saved(tmp_path, matrix), tmp_path / "ids.json"
    for named, message in (
        ({"images": images}, 'must hold {"images"'),
        ({"images": [*images[:-1], images[0]], "captions": captions}, "images names '.*' twice"),
        ({"images": images, "captions": [*captions[:-1], "other"]}, "captions lacks 1 of the split's"),
        ({"images": [*images, "other"], "captions": captions}, "images names 'other', which the split does not have"),
        ({"images": "all", "captions": captions}, "images must be a list of ids, not str"),
    ):
        ids.write_text(json.dumps(named))
        with pytest.raises(LgsfError, match=message):
            imported(tmp_path, tiny_dataset, scores=scores, ids=ids)


def test_another_runs_folder_is_left_alone(tmp_path: Path, tiny_dataset: Path, matrix: npt.NDArray[Any]) -> None:
    scores = saved(tmp_path, matrix)
    run = imported(tmp_path, tiny_dataset, scores=scores)
    before = (run / "run.json").read_bytes()
    with pytest.raises(LgsfError, match="holds the run 'My model': choose another --name"):
        imported(tmp_path, tiny_dataset, scores=scores, name="my-model!")
    assert (run / "run.json").read_bytes() == before
    (tmp_path / "results/tiny/busy/seed0/.resume").mkdir(parents=True)
    with pytest.raises(LgsfError, match="a run that is not finished"):
        imported(tmp_path, tiny_dataset, scores=scores, name="busy")


def test_distances_are_warned_of(
    tmp_path: Path, tiny_dataset: Path, split: Split, caplog: pytest.LogCaptureFixture
) -> None:
    truth = np.arange(len(split.images))[:, None] == split.caption_image
    noise = np.random.default_rng(0).random(truth.shape)
    with caplog.at_level(logging.WARNING):
        imported(tmp_path, tiny_dataset, scores=saved(tmp_path, truth + noise / 2), name="right")
        assert not caplog.records
        imported(tmp_path, tiny_dataset, scores=saved(tmp_path, noise / 2 - truth), name="distances")
    assert "save their negatives" in caplog.text


@pytest.mark.parametrize(
    ("name", "folder"),
    [("My model", "my_model"), ("CLIP ViT-B/32", "clip_vit_b_32"), ("../x", "x"), ("模型", "imported_c98e118e")],
)
def test_slugs(name: str, folder: str) -> None:
    assert slug(name) == folder


def test_slugs_that_are_taken_or_empty() -> None:
    with pytest.raises(LgsfError, match="that of a control"):
        slug("Oracle")
    with pytest.raises(LgsfError, match="--name is empty"):
        slug("  ")


def test_the_verb(
    tmp_path: Path, tiny_dataset: Path, matrix: npt.NDArray[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["import-scores", "--dataset", str(tiny_dataset), "--split", "test", "--name", "My model"]
    arguments += ["--results", str(tmp_path / "results"), "--scores", str(saved(tmp_path, matrix))]
    main(arguments)
    assert capsys.readouterr().out.strip() == str(tmp_path / "results/tiny/my_model/seed0")
    with pytest.raises(SystemExit) as stopped:
        main([*arguments, "--ids", str(tmp_path / "gone.json")])
    assert stopped.value.code == 2


def test_a_stopped_import_is_known_by_the_same_command_alone(
    tmp_path: Path, tiny_dataset: Path, matrix: npt.NDArray[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = saved(tmp_path, matrix)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("lgsf.importing.scores.write_record", killed)
        with pytest.raises(KeyboardInterrupt):
            imported(tmp_path, tiny_dataset, scores=scores)
    folder = next((tmp_path / "results/tiny").glob("*/seed0"))
    assert (folder / "test/ranks.npz").is_file() and not (folder / "run.json").exists()
    with pytest.raises(LgsfError, match="a run that is not finished"):
        imported(tmp_path, tiny_dataset, scores=scores, name="My  model")  # another name of the same folder
    run = imported(tmp_path, tiny_dataset, scores=scores)
    assert run == folder and not (run / ".importing.json").exists()
    assert read_ranks(run).metrics()


def test_scores_that_change_while_they_are_ranked_are_not_published(
    tmp_path: Path, tiny_dataset: Path, matrix: npt.NDArray[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = saved(tmp_path, matrix)
    monkeypatch.setattr("lgsf.importing.ranked._warn_of_distances", lambda *_: np.save(scores, matrix[::-1]))
    with pytest.raises(LgsfError, match="was changed while this was made from it"):
        imported(tmp_path, tiny_dataset, scores=scores)
    assert not list((tmp_path / "results").rglob("ranks.npz"))


def test_the_other_split_of_an_import_stays_tied(tmp_path: Path, tiny_dataset: Path, matrix: npt.NDArray[Any]) -> None:
    run = imported(tmp_path, tiny_dataset, scores=saved(tmp_path, matrix))
    shape = [len(table) for table in (open_dataset(tiny_dataset).split("dev").images,
                                      open_dataset(tiny_dataset).split("dev").captions)]  # fmt: skip
    dev = tmp_path / "dev.npy"
    np.save(dev, np.random.default_rng(0).random(shape))
    imported(tmp_path, tiny_dataset, scores=dev, split="dev")
    assert set(read_record(run).files) == {
        f"{s}/{n}.npz" for s in ("dev", "test") for n in ("ranks", "top", "relevance")
    }
    shutil.copy(run / "dev/top.npz", run / "test/top.npz")
    with pytest.raises(LgsfError, match=r"top.npz is not the file that run.json names"):
        read_evaluated(run / "test", "top.npz")


def nearly_one(split: Split) -> npt.NDArray[np.float64]:
    """Scores of a perfect model as a saturated sigmoid gives them: all are 1.0 in float32, none are equal in float64."""
    right = np.arange(len(split.images))[:, None] == split.caption_image
    return 1 - np.where(right, 1e-12, 2e-12) * (1 + 0.01 * np.random.default_rng(0).random(right.shape))


def rsum(run: Path) -> float:
    return read_ranks(run).metrics()["full"]["rsum"]


def test_scores_are_ranked_in_the_type_that_was_given(tmp_path: Path, tiny_dataset: Path, split: Split) -> None:
    scores = nearly_one(split)
    assert len(np.unique(scores.astype(np.float32))) == 1
    run = imported(tmp_path, tiny_dataset, scores=saved(tmp_path, scores))
    assert rsum(run) == 600
    assert read_ranks(run).ties == (0, 0)
    top = np.load(run / "test/top.npz")
    assert top["i2t_score"].dtype == np.float64


def test_vectors_in_float64_are_compared_in_float64(tmp_path: Path, tiny_dataset: Path, split: Split) -> None:
    angle = 1e-5 * np.arange(len(split.images))  # cosines differ by 1e-10
    images = np.column_stack([np.cos(angle), np.sin(angle)])
    files = {
        "images": saved(tmp_path, images, "i.npy"),
        "captions": saved(tmp_path, images[split.caption_image], "c.npy"),
    }
    assert rsum(imported(tmp_path, tiny_dataset, **files)) == 600
    narrow = saved(tmp_path, images.astype(np.float32), "n.npy")
    assert rsum(imported(tmp_path, tiny_dataset, name="mixed", images=narrow, captions=files["captions"])) > 500


def test_ties_are_counted_and_their_share_is_told(
    tmp_path: Path, tiny_dataset: Path, split: Split, caplog: pytest.LogCaptureFixture
) -> None:
    run = imported(tmp_path, tiny_dataset, scores=saved(tmp_path, nearly_one(split).astype(np.float32)))
    assert read_ranks(run).ties == (len(split.images), len(split.captions))
    assert "ties with the right one for 100.0 % of the images and 100.0 % of the captions" in caplog.text


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, np.longdouble])
def test_types_that_no_float_holds_are_refused_where_order_would_be_lost(
    tmp_path: Path, tiny_dataset: Path, split: Split, dtype: Any
) -> None:
    right = (np.arange(len(split.images))[:, None] == split.caption_image).astype(dtype)
    assert rsum(imported(tmp_path, tiny_dataset, scores=saved(tmp_path, right * 9 + 1))) == 600
    large = right + dtype(2**53) if dtype != np.longdouble else 1 + right * np.finfo(np.longdouble).eps
    with pytest.raises(LgsfError, match="holds numbers that float64 cannot tell apart"):
        imported(tmp_path, tiny_dataset, name="large", scores=saved(tmp_path, large))


def test_vectors_of_any_length_have_a_direction(tmp_path: Path, tiny_dataset: Path, split: Split) -> None:
    generator = np.random.default_rng(3)
    images = generator.standard_normal((len(split.images), 16)).astype(np.float32)
    captions = saved(tmp_path, images[split.caption_image], "c.npy")
    for scale in (1e-30, 1e30):
        files = {"images": saved(tmp_path, images * np.float32(scale), "i.npy"), "captions": captions}
        assert rsum(imported(tmp_path, tiny_dataset, name=f"scale {scale > 1}", **files)) == 600


def test_what_was_imported_is_told(
    tmp_path: Path, tiny_dataset: Path, split: Split, matrix: npt.NDArray[Any], caplog: pytest.LogCaptureFixture
) -> None:
    matrix[[3, 4]] = matrix[2]
    with caplog.at_level(logging.INFO):
        imported(tmp_path, tiny_dataset, scores=saved(tmp_path, matrix))
    n_images, n_captions = matrix.shape
    assert (
        f"{n_images} images x {n_captions} captions of the test split, the dataset's order, ranked as float32"
        in caplog.text
    )
    assert f"2 of its {n_images} rows ({200 / n_images:.1f} %) repeat another row bit for bit" in caplog.text
    vectors = saved(tmp_path, np.random.default_rng(0).random((n_captions, 8)), "v.npy")
    if n_images != n_captions:
        with pytest.raises(LgsfError, match="one vector per image"):
            imported(tmp_path, tiny_dataset, name="same", images=vectors, captions=vectors)
