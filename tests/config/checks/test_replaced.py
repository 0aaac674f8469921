"""Runs of another experiment are replaced only by who says so."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from lgsf.cli import main
from lgsf.config.checks.replaced import OWNER, changed_settings, finished_runs, owner_of, refuse_to_replace
from lgsf.config.file import Config
from lgsf.system.errors import LgsfError
from lgsf.system.settings import deep_merge

RAW: dict[str, Any] = {
    "experiment": "first",
    "run": {"datasets": ["scenes"], "methods": ["a", "b"], "seeds": [0, 1], "reference": "a"},
    "datasets": {"scenes": {"source": "scenes"}},
    "methods": {
        "a": {"model": "lgsf.models.lgsf:LGSF", "parameters": {"embedding_dim": 128, "graph": {"heads": 4}}},
        "b": {"model": "baselines.vsepp:VSEPP"},
    },
    "training": {"epochs": 15, "decay_epochs": [10]},
}


def plan(**changes: Any) -> Config:
    return Config.parse(deep_merge(copy.deepcopy(RAW), changes))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """What the first experiment left: both methods configured through the command line, `a` trained twice."""
    for method in ("a", "b"):
        settings = json.dumps(plan().run_settings("scenes", method).plain())
        out = tmp_path / "scenes" / method / "config.json"
        main(["configure", "--settings", settings, "--planned-by", "first", "--out", str(out)])
    for seed in (0, 1, 10):
        run = tmp_path / "scenes/a" / f"seed{seed}"
        run.mkdir()
        (run / "run.json").write_text("{}")
    return tmp_path


def check(results: Path, **changes: Any) -> None:
    config = plan(**changes)
    refuse_to_replace(config, results, config.run.methods)


def test_whose_runs_would_be_replaced(results: Path) -> None:
    with pytest.raises(LgsfError) as caught:
        check(results, experiment="second", training={"epochs": 3, "decay_epochs": []})
    said = str(caught.value)
    assert "\n" not in said and said.endswith(".")
    for words in ("scenes/a holds 3 runs of experiment 'first' (seed0, seed1, seed10)", "training.epochs 15 -> 3",
                  "training.decay_epochs [10] -> []", "pathvars: {results: results/second}", "replace_runs: true"):  # fmt: skip
        assert words in said
    assert "/b " not in said  # it has no runs


@pytest.mark.parametrize(
    "changes",
    [
        {"experiment": "second"},  # the same settings: the runs are shared, and nothing is trained anew
        {"experiment": "second", "title": "Another"},
        {"experiment": "second", "methods": {"a": {"title": "Another", "parameters": {"margin": 0.2}}}},  # the default
        {"experiment": "second", "methods": {"b": {"parameters": {"margin": 0.3}}}},  # no runs
        {"experiment": "second", "run": {"methods": ["b"], "reference": "b"}, "training": {"epochs": 3}},
        {"training": {"epochs": 3}},  # one's own
        {"experiment": "second", "training": {"epochs": 3}, "replace_runs": True},
    ],
)
def test_what_goes_on(results: Path, changes: dict[str, Any]) -> None:
    check(results, **changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"methods": {"a": {"parameters": {"margin": 0.3}}}}, "parameters.margin 0.2 -> 0.3"),
        ({"methods": {"a": {"parameters": {"graph": {"heads": 8}}}}}, "parameters.graph.heads 4 -> 8"),
        ({"methods": {"a": {"model": "baselines.vse_inf:VSEInfinity", "parameters": {"graph": None}}}}, "model "),
        ({"threads": 2}, "threads 1 -> 2"),
        ({"device": "cuda"}, 'device "cpu" -> "cuda"'),
    ],
)
def test_every_setting_counts(results: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(LgsfError, match=said):
        check(results, experiment="second", **changes)


def test_an_override_that_is_taken_away_is_a_change(results: Path) -> None:
    raw = copy.deepcopy(RAW) | {"experiment": "second"}
    del raw["methods"]["a"]["parameters"]["graph"]
    config = Config.parse(raw)
    with pytest.raises(LgsfError, match=r"parameters.graph.heads 4 -> 8"):
        refuse_to_replace(config, results, ["a"])


def test_runs_that_left_no_name(results: Path) -> None:
    (results / "scenes/a" / OWNER).unlink()
    with pytest.raises(LgsfError, match="of an experiment that left no name"):
        check(results, training={"epochs": 3})


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"experiment": 3}', b"[" * 100_000])
def test_damaged_files_say_nothing(results: Path, content: bytes) -> None:
    folder = results / "scenes/a"
    (folder / OWNER).write_bytes(content)
    assert owner_of(folder) is None
    (folder / "config.json").write_bytes(content)
    said = changed_settings(folder / "config.json", plan().run_settings("scenes", "a"))
    assert said


def test_settings_that_stay_the_same_stay_whose_they_were(results: Path) -> None:
    folder = results / "scenes/a"
    for epochs, owner in ((15, "first"), (3, "second")):
        settings = json.dumps(plan(training={"epochs": epochs}).run_settings("scenes", "a").plain())
        main(["configure", "--settings", settings, "--planned-by", "second", "--out", str(folder / "config.json")])
        assert owner_of(folder) == owner


def test_what_counts_as_a_run(tmp_path: Path) -> None:
    for number, name in enumerate(("run.json", "model.safetensors", ".resume/state.pt", "notes.txt")):
        file = tmp_path / f"seed{number}" / name
        file.parent.mkdir(parents=True)
        file.touch()
    assert finished_runs(tmp_path) == ["seed0", "seed1", "seed2"]
