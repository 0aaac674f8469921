"""Trials keep their promises: equal budgets, no look at test, resume equals uninterrupted, failures count."""

from __future__ import annotations

import copy
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import lgsf.tuning.trials as trials_module
from lgsf.system.errors import LgsfError
from lgsf.system.interrupts import Interrupted
from lgsf.system.locks import run_lock
from lgsf.tuning.trials import FIRST_SEED, shortened, tune
from tests.support.planning import METHODS, SHARED, plan_of, records

pytestmark = pytest.mark.seconds


@pytest.fixture(scope="module")
def no_test_split(tmp_path_factory: pytest.TempPathFactory, tiny_dataset: Path) -> Path:
    """The tiny dataset with a test split that nobody can read."""
    root = shutil.copytree(tiny_dataset, tmp_path_factory.mktemp("poisoned") / "tiny")
    files = list((root / "test").iterdir())
    assert len(files) > 3
    for file in files:
        file.write_bytes(b"\x93not to be opened")
    return root


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the trials that were trained, in order."""
    names: list[str] = []
    train = trials_module.train

    def spy(**options: Any) -> None:
        names.append(options["out"].name)
        train(**options)

    monkeypatch.setattr(trials_module, "train", spy)
    return names


def test_every_method_has_the_same_trials_and_nobody_reads_test(tmp_path: Path, no_test_split: Path) -> None:
    from lgsf.data.layout import open_dataset

    with pytest.raises(LgsfError):
        open_dataset(no_test_split).split("test")
    for method in ("small", "wide"):
        tune(plan=plan_of(tmp_path / method, method), dataset=no_test_split, out=tmp_path / method)
    small, wide = records(tmp_path / "small"), records(tmp_path / "wide")
    assert [r["trial"] for r in small] == [r["trial"] for r in wide] == [1, 2]
    rates = [[r["values"]["training.learning_rate"] for r in rows] for rows in (small, wide)]
    assert rates[0] == rates[1]  # the shared range is tried alike
    assert small[0]["values"] == {"parameters.margin": 0.2, "training.learning_rate": 0.01}
    for row in (*small, *wide):
        assert (row["status"], row["dev_looks"], row["seed"]) == ("finished", 2, FIRST_SEED)
    for trial in ("trial1", "trial2"):
        folder = tmp_path / "small" / trial
        log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        assert json.loads((folder / "trial.json").read_text())["dev_rsum"] == max(e["dev"]["rsum"] for e in log)
        assert not list(folder.glob("*.safetensors")) and not (folder / ".resume").exists()
        settings = json.loads((folder / "config.json").read_text())
        assert settings["parameters"]["margin"] == small[int(trial[-1]) - 1]["values"]["parameters.margin"]
    tuned = json.loads((tmp_path / "small/tuned.json").read_text())
    best = max(small, key=lambda row: row["dev_rsum"])
    assert (tuned["best_trial"], tuned["values"]) == (best["trial"], best["values"])
    assert tuned["tuned"]["dev_looks"] == 4
    assert tuned["tuned"]["dev_rsum_configured"] == small[0]["dev_rsum"]


def test_what_is_there_is_kept_and_what_changed_is_repeated(
    tmp_path: Path, tiny_dataset: Path, trained: list[str]
) -> None:
    tune(plan=plan_of(tmp_path), dataset=tiny_dataset, out=tmp_path)
    lines = (tmp_path / "trials.jsonl").read_text()
    (tmp_path / "trials.jsonl").unlink()  # as Snakemake does before it starts again
    (tmp_path / "tuned.json").unlink()
    (tmp_path / "trial2/model.safetensors").write_bytes(b"left by a kill")
    tune(plan=plan_of(tmp_path), dataset=tiny_dataset, out=tmp_path)
    assert trained == ["trial1", "trial2"]
    assert (tmp_path / "trials.jsonl").read_text() == lines
    assert not (tmp_path / "trial2/model.safetensors").exists()

    more = {"trials": 3, "ranges": SHARED}
    tune(plan=plan_of(tmp_path, tuning=more), dataset=tiny_dataset, out=tmp_path)
    assert trained == ["trial1", "trial2", "trial3"]
    assert (tmp_path / "trials.jsonl").read_text().startswith(lines)

    (tmp_path / "trial2/trial.json").write_text("{")
    other = {**more, "seed": 1}
    tune(plan=plan_of(tmp_path, tuning={**other, "trials": 1}), dataset=tiny_dataset, out=tmp_path)
    assert trained[3:] == ["trial1"]
    assert records(tmp_path)[0]["seed"] == FIRST_SEED + 1


def killed_once(folder: Path) -> dict[str, Any]:
    """A method that obeys the order to die in those trials that look for it in the right place."""
    parameters = {"embedding_dim": 16, "word_dim": 8, "graph": {"heads": 2, "ff": 8}, "interaction": {"heads": 2}}
    places = [str(folder / "nothing"), str(folder / "order")]
    method = {
        "model": "tests.support.killing:KilledOnce",
        "parameters": {**parameters, "order": places[0], "at_step": 9},
        "ranges": {
            "parameters.order": {"choices": places},
            "parameters.triangle.weight": {"low": 0.0, "high": 1.0},
        },
    }
    return {"methods": {**METHODS, "small": method, "wide": {**method}}}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, tiny_dataset: Path) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("whole")
    changes = killed_once(folder) | {"tuning": {"trials": 5, "ranges": SHARED}}
    tune(plan=plan_of(folder / "tuning", **changes), dataset=tiny_dataset, out=folder / "tuning")
    return folder, changes


@pytest.mark.parametrize("stop", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)])
def test_a_killed_tuning_ends_like_an_uninterrupted_one(
    tmp_path: Path, tiny_dataset: Path, repository: Path, uninterrupted, stop: signal.Signals, trained: list[str]
) -> None:
    folder, changes = uninterrupted
    order = folder / "order"
    victim = next(r["trial"] for r in records(folder / "tuning") if r["values"]["parameters.order"] == str(order))
    assert 1 < victim < 5
    plan = plan_of(tmp_path, **changes)
    order.write_text(str(int(stop)))
    if stop == signal.SIGKILL:
        command = ["tune", "--plan", str(plan), "--dataset", str(tiny_dataset), "--out", str(tmp_path)]
        done = subprocess.run([sys.executable, "-m", "lgsf", *command], cwd=repository, capture_output=True, text=True)
        assert done.returncode == -stop, done.stderr
    else:
        with pytest.raises(Interrupted):
            tune(plan=plan, dataset=tiny_dataset, out=tmp_path)
        trained.clear()
    assert not order.exists()
    assert (tmp_path / f"trial{victim}/.resume/state.pt").is_file()
    assert not (tmp_path / f"trial{victim}/trial.json").exists()
    assert (tmp_path / f"trial{victim - 1}/trial.json").is_file()

    tune(plan=plan, dataset=tiny_dataset, out=tmp_path)
    assert trained == [f"trial{number}" for number in range(victim, 6)]
    assert json.loads((tmp_path / f"trial{victim}/run.json").read_text())["resumed"] == 1
    for name in ("trials.jsonl", "tuned.json"):
        assert (tmp_path / name).read_bytes() == (folder / "tuning" / name).read_bytes()


def test_a_trial_that_diverges_counts_as_failed(tmp_path: Path, tiny_dataset: Path, caplog) -> None:
    ranges = {"training.learning_rate": {"choices": [0.01, 1e30]}}
    tuning = {"trials": 4, "sampler": "random", "ranges": ranges}
    tune(plan=plan_of(tmp_path, tuning=tuning), dataset=tiny_dataset, out=tmp_path)
    rows = records(tmp_path)
    failed = [row for row in rows if row["values"]["training.learning_rate"] == 1e30]
    assert failed and len(rows) == 4
    for row in rows:
        assert (row["status"] == "failed") == (row in failed)
    assert failed[0]["dev_rsum"] is None and "not finite" in failed[0]["reason"]
    tuned = json.loads((tmp_path / "tuned.json").read_text())
    assert (tuned["tuned"]["trials"], tuned["tuned"]["failed"]) == (4, len(failed))
    assert tuned["values"]["training.learning_rate"] == 0.01
    assert tuned["tuned"]["dev_looks"] == sum(row["dev_looks"] for row in rows) < 8


def test_nothing_is_chosen_when_all_trials_fail(tmp_path: Path, tiny_dataset: Path) -> None:
    tuning = {"trials": 1, "ranges": {"training.learning_rate": {"choices": [0.01, 1e30]}}}
    training = {"training": {"batch_size": 16, "epochs": 2, "learning_rate": 1e30}}
    with pytest.raises(LgsfError, match=r"tiny/small: all 1 trials failed \(.* was not finite near step"):
        tune(plan=plan_of(tmp_path, tuning=tuning, **training), dataset=tiny_dataset, out=tmp_path)
    assert not (tmp_path / "tuned.json").exists()
    assert (tmp_path / "trial1/trial.json").is_file()


def test_a_trial_that_cannot_be_built_names_its_values(tmp_path: Path, tiny_dataset: Path) -> None:
    methods = copy.deepcopy(METHODS)
    parameters = {"embedding_dim": 16, "word_dim": 8, "graph": {"heads": 2, "ff": 8}, "interaction": {"heads": 2}}
    methods["small"] = {
        "model": "lgsf.models.lgsf:LGSF",
        "parameters": parameters,
        "ranges": {"parameters.graph.heads": {"choices": [2, 3]}},
    }
    methods["wide"] = {"extends": "small"}
    tuning = {"trials": 8, "sampler": "random", "epochs": 1, "ranges": SHARED}
    with pytest.raises(LgsfError, match=r"tiny/small: trial \d \(parameters.graph.heads 3, .*does not divide"):
        tune(plan=plan_of(tmp_path, methods=methods, tuning=tuning), dataset=tiny_dataset, out=tmp_path)


def test_two_never_tune_in_one_folder(tmp_path: Path, tiny_dataset: Path) -> None:
    plan = plan_of(tmp_path)
    with run_lock(tmp_path), pytest.raises(LgsfError, match=f"process {os.getpid()} on"):
        tune(plan=plan, dataset=tiny_dataset, out=tmp_path)


def test_a_shorter_schedule_keeps_its_shape() -> None:
    training = {"epochs": 20, "sum_steps": 1000, "warmup_steps": 100, "decay_epochs": [1, 10, 15], "clip_norm": 2.0}
    assert shortened(training, 5) == {
        "epochs": 5,
        "sum_steps": 250,
        "warmup_steps": 25,
        "decay_epochs": [1, 2, 4],
        "clip_norm": 2.0,
    }
    assert shortened(training, None) == shortened(training, 20) == shortened(training, 30) == training
