"""Tables say what the runs said: recomputed here by hand from planted ranks, seeds counted, nothing mixed."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lgsf.tables.finished
from lgsf.config.experiment import Experiment
from lgsf.render.markdown import markdown_text
from lgsf.runs.facts import read_facts
from lgsf.runs.ranks import read_ranks
from lgsf.runs.twins import twin_accuracy
from lgsf.statistics import method_tests
from lgsf.system.errors import LgsfError
from lgsf.tables.collect import collect
from lgsf.tables.files import read_runs, read_tests
from lgsf.tables.finished import Finished
from lgsf.tables.inputs import changed_inputs, printed_inputs
from lgsf.tables.summary import differences, summarise
from lgsf.tables.tests import experiment_tests
from lgsf.tables.write import write_tables
from tests.support import synthetic


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.write_results(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def runs(results: Path) -> pd.DataFrame:
    return collect(synthetic.experiment(), Finished(results))


def _rewrite(path: Path, **changes: object) -> None:
    with np.load(path) as file:
        arrays = {**file, **{name: np.asarray(value) for name, value in changes.items()}}
    np.savez_compressed(path, **arrays)


def test_every_expected_run_has_one_row(runs: pd.DataFrame) -> None:
    keys = list(zip(runs["method"], runs["seed"], strict=True))
    assert keys == [(m, s) for m in ("lgsf", "base", "no_gat", "vsepp", "random", "oracle") for s in (0, 1, 2)]
    assert runs["status"].value_counts().to_dict() == {"finished": 16, "failed": 1, "missing": 1}


def test_failed_and_missing_runs_say_why_and_have_no_numbers(runs: pd.DataFrame) -> None:
    failed = runs[runs["status"] == "failed"].iloc[0]
    assert (failed["method"], failed["seed"]) == ("vsepp", 2)
    assert failed["reason"] == "the loss is not finite at step 212 (epoch 6)"
    missing = runs[runs["status"] == "missing"].iloc[0]
    assert missing["reason"] == "no finished run in its folder"
    assert np.isnan(failed["rsum"])
    assert np.isnan(missing["rsum"])


def test_metrics_come_from_the_ranks_and_not_from_the_record(results: Path, runs: pd.DataFrame) -> None:
    with np.load(results / "toy/lgsf/seed1/test/ranks.npz") as file:
        i2t, t2i = file["i2t"], file["t2i"]
    row = runs[(runs["method"] == "lgsf") & (runs["seed"] == 1)].iloc[0]
    expected = {f"i2t_r{k}": 100 * sum(r < k for r in i2t.tolist()) / len(i2t) for k in (1, 5, 10)}
    expected |= {f"t2i_r{k}": 100 * sum(r < k for r in t2i.tolist()) / len(t2i) for k in (1, 5, 10)}
    for metric, value in expected.items():
        assert row[metric] == pytest.approx(value, abs=1e-12)
    assert row["rsum"] == pytest.approx(sum(expected.values()), abs=1e-9)


def test_oracle_is_at_600(runs: pd.DataFrame) -> None:
    assert (runs.loc[runs["method"] == "oracle", "rsum"] == 600).all()
    assert (runs.loc[runs["method"] == "oracle", "kind"] == "control").all()


def test_the_summary_counts_seeds_and_uses_the_sample_sd(runs: pd.DataFrame) -> None:
    summary = summarise(runs).set_index(["method", "metric"])
    three = runs.loc[runs["method"] == "lgsf", "rsum"].tolist()
    mean = sum(three) / 3
    assert summary.loc[("lgsf", "rsum"), "mean"] == pytest.approx(mean)
    assert summary.loc[("lgsf", "rsum"), "sd"] == pytest.approx((sum((x - mean) ** 2 for x in three) / 2) ** 0.5)
    assert summary.loc[("vsepp", "rsum"), ["n", "expected", "complete"]].tolist() == [2, 3, False]
    assert summary.loc[("lgsf", "rsum"), ["n", "expected", "complete"]].tolist() == [3, 3, True]


def test_one_seed_has_no_spread(tmp_path: Path) -> None:
    experiment = synthetic.experiment(seeds=[0])
    summary = summarise(collect(experiment, Finished(synthetic.write_results(tmp_path, seeds=(0,)))))
    assert summary["sd"].isna().all()


def test_differences_are_absolute_and_relative_to_the_reference(runs: pd.DataFrame) -> None:
    summary = summarise(runs)
    table = differences(summary, "vsepp").set_index(["method", "metric"])
    means = summary.set_index(["method", "metric"])["mean"]
    row = table.loc[("lgsf", "t2i_r1")]
    assert row["difference"] == pytest.approx(means["lgsf", "t2i_r1"] - means["vsepp", "t2i_r1"])
    assert row["relative_percent"] == pytest.approx(100 * (means["lgsf", "t2i_r1"] / means["vsepp", "t2i_r1"] - 1))
    assert row[["n", "n_reference"]].tolist() == [3, 2]
    assert set(table.index.get_level_values("method")) == {"lgsf", "base", "no_gat"}
    assert not any("medr" in metric for metric in table.index.get_level_values("metric"))


def test_an_absent_reference_gives_no_differences(runs: pd.DataFrame) -> None:
    assert differences(summarise(runs), "scan").empty


def test_folds_and_full_gallery_stand_side_by_side(tmp_path: Path) -> None:
    runs = collect(synthetic.experiment(), Finished(synthetic.write_results(tmp_path, folds=3)))
    assert list(dict.fromkeys(runs["protocol"])) == ["folds", "full"]
    assert len(runs) == 2 * 18  # the failed and the missing run are missing under both protocols
    pivot = runs[runs["method"] == "lgsf"].pivot(index="seed", columns="protocol", values="rsum")
    assert (pivot["folds"] > pivot["full"]).all()
    assert summarise(runs).groupby(["protocol", "method"])["expected"].first().eq(3).all()


def test_inputs_stand_in_runs_and_summary(runs: pd.DataFrame) -> None:
    inputs = ["text", "visual", "ensemble"]
    found = runs[runs["status"] == "finished"].drop_duplicates("method").set_index("method")[inputs]
    assert found.loc["lgsf"].tolist() == ["BiGRU", "toy", "no"]
    assert found.loc["vsepp"].tolist() == ["GRU", "toy", "no"]
    assert found.loc["oracle"].tolist() == ["", "", ""]
    summary = summarise(runs).set_index(["method", "metric"])
    assert summary.loc[("vsepp", "rsum"), inputs].tolist() == ["GRU", "toy", "no"]
    assert summary.loc[("no_gat", "i2t_r1"), inputs].tolist() == ["BiGRU", "toy", "no"]  # its second seed is missing


def test_a_printed_table_shows_what_differs_and_notes_what_agrees(runs: pd.DataFrame) -> None:
    assert printed_inputs(runs) == (("text",), "All methods: features toy, single models.")
    alike = runs[runs["method"] != "vsepp"]
    assert printed_inputs(alike) == ((), "All methods: text encoder BiGRU, features toy, single models.")
    mixed = runs.assign(ensemble=np.where(runs["method"] == "lgsf", "yes", runs["ensemble"]))
    assert printed_inputs(mixed) == (("text", "ensemble"), "All methods: features toy.")
    assert printed_inputs(runs[runs["kind"] == "control"]) == ((), "")


def test_a_difference_names_the_inputs_that_differ(runs: pd.DataFrame) -> None:
    assert changed_inputs(runs, "base") == {"vsepp": "text encoder GRU against BiGRU"}
    assert set(changed_inputs(runs, "vsepp")) == {"lgsf", "base", "no_gat"}
    assert changed_inputs(runs, "nobody") == {}


def test_seeds_of_one_method_share_their_inputs(tmp_path: Path) -> None:
    path = synthetic.write_results(tmp_path) / "toy/lgsf/seed2/run.json"
    path.write_text(path.read_text().replace('"text_encoder": "BiGRU"', '"text_encoder": "BERT"'))
    message = r"lgsf/seed0 and lgsf/seed2 differ in their text encoder \(BiGRU and BERT\)"
    with pytest.raises(LgsfError, match=message):
        collect(synthetic.experiment(), Finished(tmp_path))


def test_what_a_record_does_not_say_is_unknown(tmp_path: Path) -> None:
    path = synthetic.write_results(tmp_path) / "toy/lgsf/seed2/run.json"
    record = json.loads(path.read_text())
    assert read_facts(path.parent).inputs == {"text": "BiGRU", "visual": "toy", "ensemble": "no"}
    del record["text_encoder"], record["data"]["source"]["features"]
    path.write_text(json.dumps(record | {"kind": "imported"}))
    assert set(read_facts(path.parent).inputs.values()) == {"unknown"}
    path.write_text(json.dumps(record | {"kind": "ensemble", "text_encoder": "BERT", "features": "grid"}))
    assert read_facts(path.parent).inputs == {"text": "BERT", "visual": "grid", "ensemble": "yes"}


def test_different_protocols_are_refused(tmp_path: Path) -> None:
    results = synthetic.write_results(tmp_path)
    _rewrite(results / "toy/base/seed1/test/ranks.npz", protocol=json.dumps({"folds": 5}))
    with pytest.raises(LgsfError, match=r"lgsf/seed0 and base/seed1 .* different protocols"):
        collect(synthetic.experiment(), Finished(results))


def test_different_test_queries_are_refused(tmp_path: Path) -> None:
    results = synthetic.write_results(tmp_path)
    ids = np.array([f"other{i}" for i in range(synthetic.IMAGES)])
    _rewrite(results / "toy/vsepp/seed0/test/ranks.npz", image_id=ids)
    with pytest.raises(LgsfError, match=r"vsepp/seed0 .* different test queries"):
        collect(synthetic.experiment(), Finished(results))


def test_another_version_of_the_data_is_refused(tmp_path: Path) -> None:
    path = synthetic.write_results(tmp_path) / "toy/oracle/seed2/run.json"
    path.write_text(path.read_text().replace("da7a", "0000"))
    with pytest.raises(LgsfError, match=r"oracle/seed2 .* different versions of the dataset"):
        collect(synthetic.experiment(), Finished(tmp_path))


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("run.json", '"seed": 1', '"seed": 7', "seed is 7"),
        ("run.json", '"method": "lgsf"', '"method": "other"', "method is 'other'"),
        ("run.json", '"schema_version": 1, "kind"', '"schema_version": 9, "kind"', "schema_version"),
        ("run.json", '"started"', '"begun"', "key 'started' is missing"),
        ("run.json", "{", "", "not valid JSON"),
    ],
)
def test_a_broken_record_is_one_sentence(tmp_path: Path, file: str, old: str, new: str, message: str) -> None:
    path = synthetic.write_results(tmp_path) / "toy/lgsf/seed1" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(LgsfError, match=message) as caught:
        collect(synthetic.experiment(), Finished(tmp_path))
    assert "\n" not in str(caught.value)


def test_truncated_ranks_are_one_sentence(tmp_path: Path) -> None:
    path = synthetic.write_results(tmp_path) / "toy/lgsf/seed1/test/ranks.npz"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(LgsfError, match=r"ranks\.npz is not a readable \.npz file"):
        collect(synthetic.experiment(), Finished(tmp_path))
    _write_short(path)
    with pytest.raises(LgsfError, match="lacks the array 'caption_id'"):
        collect(synthetic.experiment(), Finished(tmp_path))


def _write_short(path: Path) -> None:
    np.savez_compressed(path, image_id=np.array(["a"]), i2t=np.zeros(1, np.int32))


def test_twin_accuracy_by_hand(tmp_path: Path) -> None:
    """Attribute: right, tie (counts as wrong); relation: right; the graded row is no twin."""
    (tmp_path / "test").mkdir()
    np.savez(
        tmp_path / "test/top.npz",
        judged_score=np.array([0.9, 0.1, 0.5, 0.5, 0.3, 0.8, 0.2], np.float32),
        judged_image=np.zeros(7, np.int32),
        judged_caption=np.arange(7, dtype=np.int32),
        judged_grade=np.array([1, 0, 1, 0, 0.7, 1, 0], np.float32),
        judged_kind=np.array(["attribute_twin"] * 4 + ["human"] + ["relation_twin"] * 2),
    )
    assert twin_accuracy(tmp_path) == {"twin_attribute": 50.0, "twin_relation": 100.0}
    _rewrite(tmp_path / "test/top.npz", judged_grade=np.array([0, 1, 1, 0, 0.7, 1, 0], np.float32))
    with pytest.raises(LgsfError, match="do not alternate"):
        twin_accuracy(tmp_path)


def test_files_agree_with_each_other_and_come_out_equal_twice(tmp_path: Path) -> None:
    results = synthetic.write_results(tmp_path / "results")
    experiment = synthetic.experiment()
    for out in ("a", "b"):
        write_tables(experiment, results=results, out=tmp_path / out)
    names = {path.name for path in (tmp_path / "a").iterdir()}
    assert names == {f"{name}.csv" for name in ("runs", "summary", "differences", "comparisons", "twins", "beyond")} | {
        *("runs.parquet", "comparisons.parquet", "twins.parquet", "beyond.parquet", "summary.md", "summary.tex")
    }
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    parquet = read_runs(experiment, tmp_path / "a")
    text = pd.read_csv(io.StringIO((tmp_path / "a/runs.csv").read_text()))
    np.testing.assert_allclose(parquet["rsum"], text["rsum"])
    summary = (tmp_path / "a/summary.md").read_text()
    assert "| method | text encoder | i2t R@1 |" in summary
    assert "| VSE++ | GRU |" in summary
    assert "| LGSF | BiGRU |" in summary
    assert "| Chance (random embeddings) (control) | – |" in summary
    assert "\n\nAll methods: features toy, single models.\n" in summary
    assert "2/3 incomplete |" in summary


def test_tables_of_another_experiment_are_refused(tmp_path: Path) -> None:
    write_tables(synthetic.experiment(), results=synthetic.write_results(tmp_path / "r"), out=tmp_path / "t")
    with pytest.raises(LgsfError, match="run the tables step again"):
        read_runs(synthetic.experiment(seeds=[0, 1]), tmp_path / "t")
    with pytest.raises(LgsfError, match="run the tables step first"):
        read_runs(synthetic.experiment(), tmp_path / "nowhere")


def test_markdown_shows_hostile_text_literally() -> None:
    assert (
        markdown_text("a|b\n<script>alert(1)</script> *x* 检索")
        == r"a\|b &lt;script&gt;alert(1)&lt;/script&gt; \*x\* 检索"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ('{"experiment": "x"}', "key 'datasets' is missing"),
        (synthetic.experiment().model_dump_json().replace('"seeds"', '"seed"'), "seed"),
    ],
)
def test_a_bad_experiment_is_one_sentence(text: str, message: str) -> None:
    with pytest.raises(LgsfError, match=message) as caught:
        Experiment.parse(text)
    assert "\n" not in str(caught.value)


def test_tests_are_made_against_reference_and_base_and_only_with_three_seeds(tmp_path: Path) -> None:
    results = synthetic.write_results(tmp_path)
    experiment = synthetic.experiment()
    table = experiment_tests(experiment, collect(experiment, Finished(results)), Finished(results))
    assert set(table["reference"]) == {"vsepp", "base"}
    assert not {"random", "oracle"} & set(table["method"])
    methods = table[table["scope"] == "methods"].set_index(["reference", "method", "metric"])
    assert methods.loc[("vsepp", "lgsf", "rsum"), "finding"] == "n/a"  # the reference has two seeds
    tested = methods.loc[("base", "lgsf", "rsum")]
    assert tested["low"] < tested["difference"] < tested["high"]
    ranks = [read_ranks(results / f"toy/{method}/seed{seed}") for method in ("lgsf", "base") for seed in (0, 1, 2)]
    expected = method_tests({"lgsf": ranks[:3], "base": ranks[3:]}, "base")
    alone = expected[(expected["scope"] == "methods") & (expected["metric"] == "rsum")].iloc[0]
    assert tested["p"] == pytest.approx(alone["p"])


def test_nothing_to_compare_is_an_empty_table(tmp_path: Path) -> None:
    experiment = synthetic.experiment()
    table = experiment_tests(experiment, collect(experiment, Finished(tmp_path)), Finished(tmp_path))
    assert table.empty
    assert {"dataset", "reference", "p_corrected"} <= set(table.columns)


def test_the_scene_graph_control_is_expected_of_scenes_alone(tmp_path: Path) -> None:
    results = synthetic.write_results(tmp_path)
    experiment = synthetic.experiment(controls=["random", "oracle", "truth"])
    assert (collect(experiment, Finished(results))["method"] == "truth").sum() == 3
    for path in results.rglob("run.json"):
        path.write_text(path.read_text().replace('"kind": "scenes"', '"kind": "precomp"'))
    runs = collect(experiment, Finished(results))
    assert (runs["method"] == "truth").sum() == 0
    write_tables(experiment, results=results, out=tmp_path / "tables")
    assert len(read_runs(experiment, tmp_path / "tables")) == len(runs)


def test_every_table_counts_the_looks_of_training_and_tuning(tmp_path: Path) -> None:
    experiment, results = synthetic.experiment(), synthetic.write_results(tmp_path / "results")
    synthetic.mark_tuned(results, "lgsf", 90)
    write_tables(experiment, results=results, out=tmp_path / "tables")
    runs = pd.read_parquet(tmp_path / "tables/runs.parquet").set_index("method")
    assert set(runs.loc["lgsf", "dev_looks"]) == {synthetic.EPOCHS + 90}
    assert set(runs.loc["lgsf", "tuning_looks"]) == {90}
    assert set(runs.loc["base", "dev_looks"]) == {synthetic.EPOCHS} and set(runs.loc["base", "tuning_looks"]) == {0}
    assert runs.loc["oracle", "dev_looks"].isna().all()
    summary = pd.read_csv(tmp_path / "tables/summary.csv").set_index(["method", "metric"])["dev_looks"]
    assert (summary["lgsf", "rsum"], summary["base", "i2t_r1"], summary["vsepp", "rsum"]) == (102, 12, 12)
    changes = pd.read_csv(tmp_path / "tables/differences.csv").set_index(["method", "reference", "metric"])
    assert changes.loc[("lgsf", "vsepp", "rsum"), ["dev_looks", "dev_looks_reference"]].tolist() == [102, 12]
    markdown = (tmp_path / "tables/summary.md").read_text().splitlines()
    (head,) = (line for line in markdown if line.startswith("| method"))
    column = head.split(" | ").index("dev looks")
    found = {line.split(" | ")[0]: line.split(" | ")[column] for line in markdown if line.startswith("| ")}
    assert (found["| LGSF"], found["| VSE++"], found["| Oracle (ground truth) (control)"]) == ("102", "12", "–")
    latex = (tmp_path / "tables/summary.tex").read_text()
    assert r"rSum & Dev looks \\" in latex
    (row,) = (line for line in latex.splitlines() if line.startswith("LGSF &"))
    assert row.endswith(r"& 102 \\")


def test_tests_of_older_code_are_refused(tmp_path: Path) -> None:
    pd.DataFrame(columns=["claim", "gallery"]).to_parquet(tmp_path / "comparisons.parquet")
    with pytest.raises(LgsfError, match=r"comparisons\.parquet has no column 'scope'.*run the tables step again"):
        read_tests(tmp_path)


def test_the_tables_read_every_file_of_ranks_once(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    read = lgsf.tables.finished.read_ranks
    monkeypatch.setattr(lgsf.tables.finished, "read_ranks", lambda folder: (opened.append(folder), read(folder))[1])
    write_tables(synthetic.experiment(), results=results, out=tmp_path)
    assert len(opened) == len(set(opened)) == 16
