"""The table and the section beyond R@K: numbers against slow versions, runs that lack files, one sentence each."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from lgsf.metrics.ranking import MatrixScores, rank
from lgsf.metrics.relevance import Positives, RelevanceRanks
from lgsf.report.page import write_report
from lgsf.runs.beside.relevance import write_relevance
from lgsf.system.errors import LgsfError
from lgsf.tables.beyond import OLDER, collect_beyond
from lgsf.tables.collect import collect
from lgsf.tables.files import read_beyond
from lgsf.tables.finished import Finished
from tests.support import synthetic

IMAGES, CAPTIONS = synthetic.IMAGES, synthetic.IMAGES * synthetic.PER_IMAGE
EXPERIMENT = synthetic.experiment(
    seeds=[0, 1], methods=[{"name": name, "title": title} for name, title, *_ in synthetic.METHODS if name != "no_gat"]
)
ABSENT = {"eccv": "ids are not COCO's", "cxc": "ids are not COCO's"}


def rich(folder: Path, seed: int, *, coco: bool = False) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Give a synthetic run the files that evaluation writes today; returns scores, truth and judged arrays."""
    rng = np.random.default_rng(seed)
    scores = rng.permutation(IMAGES * CAPTIONS).reshape(IMAGES, CAPTIONS).astype(np.float32)
    caption_image = np.repeat(np.arange(IMAGES), synthetic.PER_IMAGE)
    scores[caption_image, np.arange(CAPTIONS)] += 6000
    true = np.random.default_rng(0).random(scores.shape) < 0.02
    true[caption_image, np.arange(CAPTIONS)] = True
    pairs = np.argwhere(true)
    flipped = pairs[np.lexsort((pairs[:, 0], pairs[:, 1]))]
    sets = {"true": Positives((pairs[:, 0], pairs[:, 1]), (flipped[:, 1], flipped[:, 0]), {})}
    if coco:  # some images and some captions are asked, as in ECCV Caption
        few = (pairs[pairs[:, 0] < 9], flipped[flipped[:, 1] < 20])
        sets |= dict.fromkeys(("eccv", "cxc"), Positives(tuple(few[0].T), tuple(few[1].T[::-1]), {}))
    watcher = RelevanceRanks(sets, scores.shape)
    ranking = rank(MatrixScores(scores), caption_image, np.zeros(IMAGES, int), watchers=[watcher])
    write_relevance(folder / "test", watcher, sets, {} if coco else ABSENT, {})
    image, caption = rng.integers(0, IMAGES, 400), rng.integers(0, CAPTIONS, 400)
    image[:40] = caption_image[caption[:40]]  # own pairs, which must not count
    judged = {
        "judged_score": scores[image, caption],
        "judged_image": image.astype(np.int32),
        "judged_caption": caption.astype(np.int32),
        "judged_grade": (rng.integers(3, 13, 400) / 3).astype(np.float32),
        "judged_kind": np.array(["expert"] * 300 + ["crowd"] * 100),
    }
    judged["judged_grade"][:40] = 4.0
    top = {"i2t": ranking.i2t_top, "t2i": ranking.t2i_top}
    with np.load(folder / "test" / "ranks.npz") as ranks:
        arrays = {**ranks, "i2t": ranking.i2t, "t2i": ranking.t2i}
    np.savez_compressed(folder / "test" / "ranks.npz", **(arrays | {"i2t_fold": ranking.i2t, "t2i_fold": ranking.t2i}))
    np.savez_compressed(folder / "test" / "top.npz", **top, **judged)
    return scores, true, judged


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """lgsf and vsepp have today's files, the others are older runs."""
    folder = tmp_path_factory.mktemp("beyond")
    results = synthetic.write_results(folder / "results", seeds=(0, 1))
    for number, name in enumerate(("lgsf/seed0", "lgsf/seed1", "vsepp/seed0", "vsepp/seed1")):
        rich(results / "toy" / name, number, coco=name.startswith("vsepp"))
    synthetic.write_tables_and_verdicts(EXPERIMENT, results=results, out=folder / "tables")
    write_report(EXPERIMENT, results=results, tables=folder / "tables", out=folder / "report")
    return folder


@pytest.fixture(scope="module")
def table(root: Path) -> pd.DataFrame:
    return read_beyond(root / "tables")


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "report" / "index.html").read_text("utf-8")


def value(table: pd.DataFrame, **where: object) -> float:
    chosen = table[np.logical_and.reduce([(table[name] == wanted).fillna(False) for name, wanted in where.items()])]
    assert len(chosen) == 1, where
    return float(chosen["value"].iloc[0])


def test_relevance_equals_a_slow_version(tmp_path: Path, table: pd.DataFrame) -> None:
    (tmp_path / "test").mkdir()
    np.savez(tmp_path / "test" / "ranks.npz", i2t=0)
    scores, true, _ = rich(tmp_path, 0)
    for direction, s, t in (("i2t", scores, true), ("t2i", scores.T, true.T)):
        order = np.argsort(-s, axis=1)
        hits = np.take_along_axis(t, order, 1)
        run = {"method": "lgsf", "seed": 0, "what": "true", "direction": direction}
        for k in (1, 5, 10):
            assert value(table, metric=f"r{k}", **run) == pytest.approx(100 * hits[:, :k].any(axis=1).mean())
        precision = [row[: row.sum()].mean() for row in hits]
        assert value(table, metric="r_precision", **run) == pytest.approx(100 * np.mean(precision))
        at = [np.mean([row[:i].mean() * row[i - 1] for i in range(1, row.sum() + 1)]) for row in hits]
        assert value(table, metric="map_at_r", **run) == pytest.approx(100 * np.mean(at))
        assert value(table, metric="positives", **run) == pytest.approx(t.sum(axis=1).mean())
        counts = np.bincount(order[:, :10].ravel(), minlength=s.shape[1])
        hubs = {"method": "lgsf", "seed": 0, "what": "hubs", "direction": direction}
        assert value(table, metric="antihubs_10", **hubs) == pytest.approx(100 * (counts == 0).mean())


def test_people_are_asked_about_other_images_captions_alone(tmp_path: Path, table: pd.DataFrame) -> None:
    (tmp_path / "test").mkdir()
    np.savez(tmp_path / "test" / "ranks.npz", i2t=0)
    judged = rich(tmp_path, 1)[2]
    other = judged["judged_caption"] // synthetic.PER_IMAGE != judged["judged_image"]
    for kind in ("expert", "crowd"):
        rows = other & (judged["judged_kind"] == kind)
        tau = kendalltau(judged["judged_score"][rows], judged["judged_grade"][rows]).statistic
        own = {"method": "lgsf", "seed": 1, "what": f"people_{kind}"}
        assert value(table, **own) == pytest.approx(tau)
        found = table[(table["method"] == "lgsf") & (table["seed"] == 1) & (table["what"] == f"people_{kind}")].iloc[0]
        assert found["n"] == rows.sum() and found["low"] < tau < found["high"]


def test_difficulty_adds_up(root: Path, table: pd.DataFrame) -> None:
    for direction in ("i2t", "t2i"):
        for k in (1, 10):
            rows = table[table["metric"].str.fullmatch(rf"by_\d+_r{k}") & (table["direction"] == direction)]
            assert len(rows) == 1 + 6  # none to all six finished runs that are no controls
            assert rows["value"].sum() == pytest.approx(100)
    runs = collect(EXPERIMENT, Finished(root / "results"))
    means = runs.loc[(runs["status"] == "finished") & (runs["kind"] != "control"), "t2i_r1"].mean()
    shares = table[table["metric"].str.fullmatch(r"by_\d+_r1") & (table["direction"] == "t2i")]
    counts = shares["metric"].str.extract(r"by_(\d+)_")[0].astype(int)
    assert (counts * shares["value"]).sum() / 6 == pytest.approx(means)


def test_older_runs_are_not_available_and_say_why(table: pd.DataFrame) -> None:
    older = table[(table["method"] == "base") & (table["seed"] == 0)]
    assert set(older.loc[older["note"] == OLDER, "what"]) == {"true", "eccv", "cxc"}
    assert older.loc[older["note"] == OLDER, "value"].isna().all()
    own = table[(table["method"] == "lgsf") & (table["seed"] == 0) & (table["what"] == "eccv")]
    assert own["note"].tolist() == ["ids are not COCO's"]


def test_the_report_shows_what_there_is_and_why_the_rest_is_not(page: str, table: pd.DataFrame) -> None:
    for id_ in (
        "toy-true-i2t",
        "toy-true-t2i",
        "toy-people",
        "toy-hubs",
        "toy-difficulty",
        "toy-alone",
        "toy-found-i2t-t",
    ):
        assert f'id="{id_}"' in page
    assert 'id="toy-galleries"' not in page
    assert "n/a: ECCV Caption and CxC (LGSF seeds 0 and 1), since ids are not COCO&#39;s." in page
    assert OLDER in page
    base = page[page.index(">Base (all parts off)", page.index('id="toy-true-i2t"')) :]
    assert base[: base.index("</tr>")].count(">n/a<") == 5
    mean = table.loc[
        (table["method"] == "lgsf") & (table["direction"] == "t2i") & (table["metric"] == "map_at_r"), "value"
    ].mean()
    assert f"{mean:.1f}" in page[page.index('id="toy-true-t2i"') : page.index('id="toy-coco"')]
    asked = table[(table["method"] == "vsepp") & (table["seed"] == 0) & (table["metric"] == "map_at_r")]
    asked = asked.set_index(["what", "direction"])["n"].to_dict()
    assert (asked["eccv", "i2t"], asked["cxc", "t2i"], asked["true", "t2i"]) == (9, 20, CAPTIONS)


@pytest.mark.parametrize("id_", ["toy-true-i2t", "toy-coco", "toy-people", "toy-hubs", "toy-alone"])
def test_every_table_of_methods_tells_their_looks_at_dev(root: Path, page: str, id_: str) -> None:
    runs = collect(EXPERIMENT, Finished(root / "results"))
    expected = runs.loc[runs["method"] == "lgsf", "dev_looks"].unique()
    assert len(expected) == 1
    html = page[page.index(f'id="{id_}"') :]
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in html.split("</table>")[0].split("<tr")]
    names = next(row for row in rows if any("dev looks" in cell for cell in row))
    own = next(row for row in rows if row and ">LGSF" in ">" + re.sub("<[^>]*>|\\s", "", row[0]))
    column = next(index for index, cell in enumerate(names) if "dev looks" in cell)
    assert len(own) == len(names)
    assert re.sub("<[^>]*>", "", own[column]).strip() == f"{expected[0]:g}"


def test_nothing_but_older_runs_still_makes_a_report(tmp_path: Path) -> None:
    results = synthetic.write_results(tmp_path / "results", folds=2, seeds=(0,))
    one = synthetic.experiment(seeds=[0], methods=[{"name": "lgsf", "title": "LGSF"}], reference="lgsf")
    synthetic.write_tables_and_verdicts(one, results=results, out=tmp_path / "tables")
    page = write_report(one, results=results, tables=tmp_path / "tables", out=tmp_path / "report")
    text = page.read_text("utf-8")
    assert f"n/a: exact relevance, ECCV Caption and CxC, since {OLDER}." in text
    assert 'id="toy-galleries"' in text and 'id="toy-true-i2t"' not in text
    markdown = (tmp_path / "report" / "report.md").read_text("utf-8")
    assert "\n## Beyond R@K" in markdown and "two galleries" in markdown


def test_no_finished_run_is_an_empty_table(tmp_path: Path) -> None:
    runs = collect(EXPERIMENT, Finished(tmp_path))
    assert collect_beyond(runs, Finished(tmp_path)).empty


def test_a_run_without_candidates_has_no_hubs(tmp_path: Path) -> None:
    results = synthetic.write_results(tmp_path / "results")
    runs = collect(synthetic.experiment(), Finished(results))
    (results / "toy/lgsf/seed0/test/top.npz").unlink()
    top = results / "toy/lgsf/seed1/test/top.npz"
    with np.load(top) as arrays:
        kept = {name: array for name, array in arrays.items() if name.startswith("judged")}
    np.savez_compressed(top, **kept)
    table = collect_beyond(runs, Finished(results))
    lgsf = table[(table["method"] == "lgsf") & (table["what"] == "hubs")]
    assert lgsf.loc[lgsf["seed"] == 0, "note"].tolist() == [OLDER]
    assert lgsf.loc[lgsf["seed"] == 1, "note"].tolist() == [OLDER, OLDER]
    assert lgsf.loc[lgsf["seed"] == 2, "value"].notna().all()


def test_a_broken_file_is_one_sentence(tmp_path: Path) -> None:
    results = synthetic.write_results(tmp_path / "results")
    (results / "toy/lgsf/seed0/test/relevance.npz").write_bytes(b"half")
    with pytest.raises(LgsfError, match=r"relevance.npz is not a readable .npz file"):
        collect_beyond(collect(EXPERIMENT, Finished(results)), Finished(results))
