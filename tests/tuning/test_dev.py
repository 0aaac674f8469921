"""What a study shows: every training has a row, its dev scores and cost are those of its log, test is not opened."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from lgsf.system.errors import LgsfError
from lgsf.tuning.dev import write_dev
from tests.support import synthetic


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = synthetic.write_results(tmp_path_factory.mktemp("results"))
    for path in root.glob("toy/*/seed*/run.json"):
        record = json.loads(path.read_text())
        if record["method"] == "no_gat":
            record["config"]["parameters"]["gat"] = False
            record["config"]["training"]["epochs"] = 9
        path.write_text(json.dumps(record | {"cpu_seconds": 10.0 + record["seed"]}))
    for folder in root.glob("toy/*/seed*/test"):
        shutil.rmtree(folder)  # a study never has them
    return root


@pytest.fixture(scope="module")
def out(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dev")
    write_dev(synthetic.experiment(), results=results, out=folder)
    return folder


def test_every_training_has_a_row_and_controls_have_none(out: Path) -> None:
    table = pd.read_csv(out / "dev.csv")
    assert list(zip(table["method"], table["seed"], strict=True)) == [
        (method, seed) for method, *_ in synthetic.METHODS for seed in synthetic.SEEDS
    ]
    assert table["status"].value_counts().to_dict() == {"finished": 10, "failed": 1, "missing": 1}
    failed = table[table["status"] == "failed"].iloc[0]
    assert failed["reason"] == "the loss is not finite at step 212 (epoch 6)"
    assert table.loc[table["status"] != "finished", "rsum"].isna().all()


def test_numbers_are_those_of_the_log(out: Path, results: Path) -> None:
    table = pd.read_csv(out / "dev.csv").set_index(["method", "seed"])
    log = [json.loads(line) for line in (results / "toy/vsepp/seed0/log.jsonl").read_text().splitlines()]
    rsum = [line["dev"]["rsum"] for line in log]
    row = table.loc[("vsepp", 0)]
    assert row["rsum"] == pytest.approx(rsum[synthetic.EPOCHS - 1], abs=1e-4)
    assert row["rsum_end"] == pytest.approx(rsum[-1], abs=1e-4)
    assert row["rise"] == pytest.approx(max(rsum) - max(rsum[:10]), abs=1e-4)  # twelve epochs: the last two
    assert row["i2t_r1"] == pytest.approx(log[-1]["dev"]["i2t_r1"], abs=1e-4)
    assert row["plateau_epochs"] == sum(line["plateau"] for line in log) == 4
    assert (row["epochs"], row["steps"]) == (synthetic.EPOCHS, synthetic.EPOCHS * synthetic.STEPS)


def test_what_a_trial_changes_stands_beside_it(out: Path) -> None:
    table = pd.read_csv(out / "means.csv", keep_default_na=False).set_index("method")
    assert table.loc["lgsf", "settings"] == ""
    assert table.loc["no_gat", "settings"] == "parameters.gat=false; training.epochs=9"
    assert 'model="baselines.vsepp:VSEPP"' in table.loc["vsepp", "settings"]


def test_means_are_over_the_seeds_that_finished(out: Path) -> None:
    runs, table = pd.read_csv(out / "dev.csv"), pd.read_csv(out / "means.csv").set_index("method")
    for method, own in runs.groupby("method"):
        done = own[own["status"] == "finished"]
        assert table.loc[method, "seeds"] == f"{len(done)} of 3"
        assert table.loc[method, "rsum"] == pytest.approx(done["rsum"].mean(), abs=1e-3)
        assert table.loc[method, "rsum_sd"] == pytest.approx(done["rsum"].std(), abs=1e-3)
        assert table.loc[method, "cpu_seconds"] == done["cpu_seconds"].sum()


def test_nothing_finished_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(LgsfError, match=r"no training of synthetic has finished; train first"):
        write_dev(synthetic.experiment(), results=tmp_path, out=tmp_path / "dev")
    assert not (tmp_path / "dev").exists()
