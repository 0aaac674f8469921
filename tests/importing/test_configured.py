"""What the configuration imports: from files to a row with a p-value in the page; what does not fit is one sentence."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from lgsf.cli import main
from lgsf.config.file import Config
from lgsf.config.study import Study
from lgsf.data.layout import open_dataset
from lgsf.gallery.collect import write_albums
from lgsf.importing.finished import import_run
from lgsf.importing.scores import import_scores
from lgsf.report.page import write_report
from lgsf.runs.facts import read_facts
from lgsf.runs.ranks import read_ranks
from lgsf.statistics.tests import format_p
from lgsf.system.errors import LgsfError
from lgsf.verification.verify import verify
from tests.support.released_files import make_files
from tests.support.synthetic import write_tables_and_verdicts
from tests.support.world import METHOD, World, write_world

pytestmark = pytest.mark.seconds
Matrix = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Three trained seeds of a method on a tiny dataset."""
    world = write_world(tmp_path_factory.mktemp("world"))
    world.train(2, learning_rate=0.01)
    world.evaluate(2)
    return world


def study(imports: Mapping[str, Any], **run: Any) -> Study:
    """A configuration of the world's method and of imports."""
    listed = {
        "datasets": ["tiny"],
        "methods": [METHOD, *imports],
        "seeds": [0, 1, 2],
        "reference": METHOD,
        "controls": [],
    }
    raw = {
        "experiment": "own",
        "run": listed | run,
        "datasets": {"tiny": {"source": "scenes"}},
        "methods": {METHOD: {"model": "baselines.vsepp:VSEPP", "title": "Tried"}},
        "imports": dict(imports),
    }
    return Study(Config.parse(raw))


def bring(asked: Study, name: str, dataset: Path, results: Path) -> list[Path]:
    """Every run of an import, through the verb that the workflow calls."""
    runs = []
    for seed in asked.config.imports[name].numbers:
        settings = asked.imported(name, seed).model_dump_json(exclude={"title", "published", "dataset"})
        out = results / open_dataset(dataset).name / name / f"seed{seed}"
        main(["import-model", "--settings", settings, "--name", name, "--seed", str(seed), "--dataset", str(dataset),
              "--out", str(out)])  # fmt: skip
        runs.append(out)
    return runs


def matrix(dataset: Path, split: str, *, seed: int, gain: float = 2.0) -> Matrix:
    """Scores of a model that is often right."""
    opened = open_dataset(dataset).split(split)
    scores = np.random.default_rng([seed, len(split)]).standard_normal((len(opened.images), len(opened.captions)))
    scores[opened.caption_image, np.arange(scores.shape[1])] += gain
    return scores


def saved(path: Path, array: npt.NDArray[Any]) -> str:
    np.save(path, array)
    return str(path)


def tables_of(world: World, folder: Path) -> Path:
    return world.results / "tables" / folder.name


def page_of(asked: Study, world: World, folder: Path) -> str:
    """Tables, album, verdicts and report of a study in the world's results."""
    experiment = asked.experiment(asked.tables["comparison"], words=True)
    tables = tables_of(world, folder)
    write_tables_and_verdicts(experiment, results=world.results, out=tables)
    write_albums(experiment, results=world.results, resources=world.dataset.parent, photos={}, out=tables / "album")
    return write_report(experiment, results=world.results, tables=tables, out=folder / "report").read_text()


def test_from_score_matrices_to_a_row_with_a_p_value(world: World, tmp_path: Path) -> None:
    files = [saved(tmp_path / f"test{k}.npy", matrix(world.dataset, "test", seed=k)) for k in range(3)]
    asked = study({"mine": {"kind": "scores", "title": "My model", "test": files, "text_encoder": "BERT"}})
    runs = bring(asked, "mine", world.dataset, world.results)
    assert [read_facts(run).kind for run in runs] == ["imported"] * 3
    page = page_of(asked, world, tmp_path)
    rows = pd.read_csv(tables_of(world, tmp_path) / "comparisons.csv")
    own = rows[(rows["method"] == "mine") & (rows["scope"] == "methods") & (rows["metric"] == "i2t_r1")]
    (p,) = own.loc[own["protocol"] == "full", "p_corrected"]
    assert 0 <= p <= 1
    rows_of_the_page = re.findall(r"<tr[^>]*>\s*<th[^>]*>My model \(imported\).*?</tr>", page, re.DOTALL)
    assert any(escape(format_p(p)) in row for row in rows_of_the_page)
    summary = (tables_of(world, tmp_path) / "summary.md").read_text()
    assert "| My model (imported) | BERT |" in summary and "3/3" in summary
    assert "Imported, not trained here: seed 0 is ranked by test0.npy (sha256" in page
    assert "Nothing of the dev split was given: no dev rSum stands for it" in page
    table = pd.read_csv(tables_of(world, tmp_path) / "runs.csv")
    assert table.loc[table["method"] == "mine", ["dev_rsum", "dev_looks", "seconds"]].isna().all(axis=None)
    verify(report=tmp_path / "report", results=world.results, datasets=[world.dataset])


def test_embeddings_by_cosine_and_by_dot_product(world: World, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    given: dict[str, dict[str, str]] = {}
    vectors: dict[str, Matrix] = {}
    for split in ("dev", "test"):
        opened = open_dataset(world.dataset).split(split)
        images, captions = (rng.standard_normal((len(rows), 6)) for rows in (opened.images, opened.captions))
        images *= np.exp(rng.standard_normal((len(images), 1)))  # of unequal length: dot and cosine differ
        if split == "test":
            vectors = {"images": images, "captions": captions}
        given[split] = {
            "images": saved(tmp_path / f"{split}_i.npy", images),
            "captions": saved(tmp_path / f"{split}_c.npy", captions),
        }
    kinds = {name: {"kind": "embeddings", "similarity": name, **given} for name in ("dot", "cosine")}
    asked = study(kinds)
    products = vectors["images"] @ vectors["captions"].T
    lengths = np.linalg.norm(vectors["images"], axis=1)
    owners = open_dataset(world.dataset).split("test").caption_image
    for name, scores in (("dot", products), ("cosine", products / lengths[:, None])):
        (run,) = bring(asked, name, world.dataset, world.results)
        expected = (scores > scores[owners, np.arange(len(owners))]).sum(axis=0)
        np.testing.assert_array_equal(read_ranks(run).t2i, expected)
        facts = read_facts(run)
        dev = read_ranks(run, "dev")
        assert facts.dev is not None and facts.dev["t2i_r1"] == 100 * (dev.t2i == 0).mean()
    assert not np.array_equal(*(read_ranks(world.run(0, name)).t2i for name in kinds))
    page = page_of(asked, world, tmp_path)
    assert "whose dot product is the score" in page and "whose cosine is the score" in page
    assert "dot (imported)" in page and "Nothing of the dev split was given" not in page


def test_a_released_checkpoint(tmp_path: Path) -> None:
    files = make_files(tmp_path, "vsepp_max")
    entry = {"kind": "checkpoint", "method": "vsepp", "checkpoint": str(files.checkpoint), "vocab": str(files.vocab)}
    asked = study({"authors": entry})
    (run,) = bring(asked, "authors", files.dataset, tmp_path / "results")
    first = read_ranks(run).t2i
    facts = read_facts(run)
    assert (facts.kind, facts.method, facts.text_encoder) == ("imported", "authors", "GRU")
    assert (run / "test" / "gallery.npz").is_file() and len(read_ranks(run, "dev").i2t) == 6
    (run / "run.json").unlink()  # as Snakemake does before it makes it again
    bring(asked, "authors", files.dataset, tmp_path / "results")
    np.testing.assert_array_equal(read_ranks(run).t2i, first)
    # A run of the same name whose kind changes keeps nothing of what it was.
    scores = saved(tmp_path / "s.npy", matrix(files.dataset, "test", seed=0))
    bring(study({"authors": {"kind": "scores", "test": scores}}), "authors", files.dataset, tmp_path / "results")
    assert sorted(path.name for path in run.iterdir()) == ["run.json", "test"]
    assert not (run / "test" / "gallery.npz").exists()


def test_a_run_made_by_hand_elsewhere(world: World, tmp_path: Path) -> None:
    scores = tmp_path / "scores.npy"
    np.save(scores, matrix(world.dataset, "test", seed=9))
    made = import_scores(
        dataset=world.dataset, split="test", name="byhand", seed=4, results=tmp_path / "there", scores=scores
    )
    asked = study({"byhand": {"kind": "run", "path": str(made), "title": "By hand"}})
    (run,) = bring(asked, "byhand", world.dataset, world.results)
    assert (run / "run.json").read_bytes() == (made / "run.json").read_bytes()
    assert "By hand (imported)" in page_of(asked, world, tmp_path)
    bring(asked, "byhand", world.dataset, world.results)
    np.save(scores, matrix(world.dataset, "test", seed=10))
    (made / "test" / "ranks.npz").write_bytes((world.run(0) / "test" / "ranks.npz").read_bytes())
    with pytest.raises(SystemExit):
        bring(asked, "byhand", world.dataset, world.results)
    assert "By hand (imported)" in page_of(asked, world, tmp_path / "again")  # the copy stands


@pytest.mark.parametrize("damage", ["emptied", "cut"])
@pytest.mark.parametrize("file", ["test/top.npz", "test/relevance.npz", "dev/top.npz", "test/ranks.npz"])
def test_a_run_with_a_damaged_file_stays_where_it_is(world: World, tmp_path: Path, file: str, damage: str) -> None:
    source = Path(shutil.copytree(world.run(0), tmp_path / "seed0"))
    content = (source / file).read_bytes()
    (source / file).write_bytes(b"" if damage == "emptied" else content[:-40])
    out = tmp_path / "results/tiny" / METHOD / "seed0"
    settings = {"kind": "run", "path": str(source), "title": "T"}
    with pytest.raises(LgsfError, match=f"{file} is not (a readable .npz file|what was written there)"):
        import_run(settings, name=METHOD, seed=0, dataset=world.dataset, out=out)
    assert not out.exists()
    (source / file).write_bytes(content)
    import_run(settings, name=METHOD, seed=0, dataset=world.dataset, out=out)
    assert (out / file).read_bytes() == content


def refused(capsys: pytest.CaptureFixture[str], asked: Study, dataset: Path, results: Path) -> str:
    """What the verb says of an import that does not fit; nothing may be left of it."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        bring(asked, "bad", dataset, results)
    assert stopped.value.code == 2
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "error" in line)
    assert line.endswith(".") and not list(results.rglob("run.json")) and not list(results.rglob("*.npz"))
    return line


@pytest.mark.parametrize("kind", ["short", "transposed", "nan", "absent", "other captions", "dev"])
def test_bad_files_are_one_sentence(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    good = matrix(world.dataset, "test", seed=0)
    holed = good.copy()
    holed[3, 1] = np.nan
    pair = {"images": saved(tmp_path / "i.npy", good[:, :6]), "captions": saved(tmp_path / "c.npy", good.T[:-5, :6])}
    entry, words = {
        "short": ({"test": saved(tmp_path / "short.npy", good[:-1])}, "short.npy has shape"),
        "transposed": ({"test": saved(tmp_path / "turned.npy", good.T)}, "it is transposed, one row per caption"),
        "nan": ({"test": saved(tmp_path / "nan.npy", holed)}, "nan.npy, row 3, holds a score that is not finite"),
        "absent": ({"test": str(tmp_path / "gone.npy")}, "gone.npy is missing"),
        "other captions": ({"kind": "embeddings", "test": pair}, "one vector per caption of the test split"),
        "dev": (
            {"test": saved(tmp_path / "t.npy", good), "dev": saved(tmp_path / "d.npy", good[:, :-1])},
            "d.npy has shape",
        ),
    }[kind]
    asked = study({"bad": {"kind": "scores", **entry}})
    assert words in refused(capsys, asked, world.dataset, tmp_path / "results")


def test_vectors_that_are_not_finite_have_no_dot_product(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split = open_dataset(world.dataset).split("test")
    images, captions = np.ones((len(split.images), 3)), np.ones((len(split.captions), 3))
    captions[7, 0] = np.inf
    pair = {"images": saved(tmp_path / "i.npy", images), "captions": saved(tmp_path / "c.npy", captions)}
    asked = study({"bad": {"kind": "embeddings", "similarity": "dot", "test": pair}})
    assert "c.npy, row 7, is not finite" in refused(capsys, asked, world.dataset, tmp_path / "results")


@pytest.mark.parametrize("kind", ["trained", "control", "dataset", "name"])
def test_runs_that_cannot_be_imported(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    source = tmp_path / "runs" / "bad" / "seed0"
    source.mkdir(parents=True)
    origin = world.run(0, "random" if kind == "control" else METHOD)
    record = json.loads((origin / "run.json").read_text())
    record.pop("lgsf_seal", None)
    record |= {"method": "other" if kind == "name" else "bad"} | (
        {"dataset_sha256": "0" * 64} if kind == "dataset" else {}
    )
    (source / "run.json").write_text(json.dumps(record))
    words = {
        "trained": "test/ranks.npz is missing: evaluate the run first",
        "control": "is of kind 'control', which competes with nobody",
        "dataset": "was made from another version of the dataset",
        "name": "method is 'other', and imports.bad takes it for 'bad'",
    }[kind]
    asked = study({"bad": {"kind": "run", "path": str(source)}})
    assert words in refused(capsys, asked, world.dataset, tmp_path / "results")


def test_trained_runs_are_not_overwritten(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in world.run(0).rglob("*") if path.is_file()}
    scores = saved(tmp_path / "s.npy", matrix(world.dataset, "test", seed=0))
    asked = study({"mine": {"kind": "scores", "test": scores}})
    settings = asked.imported("mine", 0).model_dump_json(exclude={"title", "published", "dataset"})
    with pytest.raises(SystemExit):
        main(["import-model", "--settings", settings, "--name", METHOD, "--seed", "0", "--dataset", str(world.dataset),
              "--out", str(world.run(0))])  # fmt: skip
    assert "holds the run" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in world.run(0).rglob("*") if path.is_file()} == before
