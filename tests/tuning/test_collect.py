"""The config file of tuned values: what was chosen, for whom, from how many looks; equal budgets or nothing."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from lgsf.cli import main
from lgsf.config.file import Config
from lgsf.system.errors import LgsfError
from lgsf.system.files import write_json
from lgsf.system.settings import deep_merge
from lgsf.tuning.collect import write_config
from lgsf.tuning.trials import tune
from tests.support.planning import METHODS, plan_of, raw_config, records

pytestmark = pytest.mark.seconds

ABOUT = {"experiment": "try_tuned", "title": "Tried, tuned", "results": "results/tuned/try", "logs": "logs/tuned/try"}


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, tiny_dataset: Path) -> Path:
    """Both methods tuned through the verbs, and their config file."""
    root = tmp_path_factory.mktemp("tuned")
    for method in ("small", "wide"):
        settings = json.dumps(Config.parse(raw_config()).tuning_settings("tiny", method))
        out = root / method
        main(["ranges", "--settings", settings, "--out", str(out / "plan.json")])
        main(["tune", "--plan", str(out / "plan.json"), "--dataset", str(tiny_dataset), "--out", str(out)])
    files = [str(root / method / "tuned.json") for method in ("small", "wide")]
    main(["tuned", "--tuned", *files, "--about", json.dumps(ABOUT), "--out", str(root / "tiny.yaml")])
    return root


def overlaid(tuned: Path) -> Config:
    return Config.parse(deep_merge(raw_config(), yaml.safe_load((tuned / "tiny.yaml").read_text())))


def test_laid_over_the_config_it_gives_the_chosen_settings(tuned: Path) -> None:
    config = overlaid(tuned)
    assert config.experiment == "try_tuned"
    assert config.run.datasets == ("tiny",)
    for method in ("small", "wide"):
        best = max(records(tuned / method), key=lambda row: row["dev_rsum"])
        settings = config.run_settings("tiny", method)
        assert settings.training.learning_rate == best["values"]["training.learning_rate"]
        assert settings.parameters["embedding_dim"] == {"small": 16, "wide": 24}[method]
        margin = best["values"]["parameters.margin"] if method == "small" else 0.2
        assert settings.parameters["margin"] == margin
        chosen = "best of 2 trials on dev"
        choices = config.method(method).choices
        assert choices["training.learning_rate"] == chosen
        assert choices["margin"] == (chosen if method == "small" else "as configured")
        assert settings.tuned is not None and (settings.tuned.trials, settings.tuned.dev_looks) == (2, 4)


def test_an_arm_does_not_inherit_what_its_parent_was_tuned_to(tuned: Path, tmp_path: Path) -> None:
    """`wide` sets its margin itself; with a margin that only `small` has, it keeps the one it was tuned with."""
    changed = json.loads((tuned / "small/tuned.json").read_text())
    changed["values"]["parameters.margin"] = 0.3
    write_json(tmp_path / "tuned.json", changed)
    (tmp_path / "trials.jsonl").write_bytes((tuned / "small/trials.jsonl").read_bytes())
    write_config([tmp_path / "tuned.json", tuned / "wide/tuned.json"], ABOUT, out=tmp_path / "x.yaml")
    written = yaml.safe_load((tmp_path / "x.yaml").read_text())["methods"]
    assert written["small"]["parameters"]["margin"] == 0.3
    assert written["wide"]["parameters"]["margin"] == 0.2


def test_the_header_says_what_was_looked_at(tuned: Path) -> None:
    lines = (tuned / "tiny.yaml").read_text().splitlines()
    header = "\n".join(line for line in lines if line.startswith("#"))
    assert "2 trials of every method (tpe, seed 0)" in header
    assert "snakemake --cores all --configfile" in header
    first, *_ = records(tuned / "small")
    assert f"# small: {first['dev_rsum']:.1f} -> " in header and "4 looks" in header


def test_tuning_again_adds_its_looks(tuned: Path, tmp_path: Path, tiny_dataset: Path) -> None:
    raw = deep_merge(raw_config(), yaml.safe_load((tuned / "tiny.yaml").read_text()))
    raw["tuning"]["trials"] = 1
    methods: dict[str, Any] = copy.deepcopy(raw["methods"])
    tune(
        plan=plan_of(tmp_path, tuning=raw["tuning"], methods=methods),
        dataset=tiny_dataset,
        out=tmp_path,
    )
    assert json.loads((tmp_path / "tuned.json").read_text())["tuned"]["dev_looks"] == 4 + 2


def _changed(tuned: Path, folder: Path, change: Any) -> list[Path]:
    raw = json.loads((tuned / "wide/tuned.json").read_text())
    change(raw)
    write_json(folder / "tuned.json", raw)
    (folder / "trials.jsonl").write_bytes((tuned / "wide/trials.jsonl").read_bytes())
    return [tuned / "small/tuned.json", folder / "tuned.json"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda raw: raw["plan"]["budget"].update(trials=3), "different budgets or shared ranges"),
        (lambda raw: raw["plan"]["budget"].update(epochs=1), "different budgets"),
        (lambda raw: raw["plan"]["budget"].update(seed=5), "different budgets"),
        (lambda raw: raw["tuned"].update(trials=1), "different budgets"),
        (lambda raw: raw["plan"]["ranges"]["training.learning_rate"].update(high=0.2), "shared ranges"),
        (lambda raw: raw["plan"]["settings"].update(dataset="other"), "write one file for each"),
        (lambda raw: raw["tuned"].update(trials_sha256="0" * 64), "is not the list of trials"),
        (lambda raw: raw.update(schema_version=2), "schema_version"),
        (lambda raw: raw.pop("values"), "'values' is missing"),
    ],
)
def test_unequal_budgets_and_broken_files_are_refused(tuned: Path, tmp_path: Path, change: Any, sentence: str) -> None:
    files = _changed(tuned, tmp_path, change)
    with pytest.raises(LgsfError, match=sentence) as caught:
        write_config(files, ABOUT, out=tmp_path / "x.yaml")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "x.yaml").exists()


def test_methods_are_in_the_order_of_the_config(tuned: Path) -> None:
    assert list(yaml.safe_load((tuned / "tiny.yaml").read_text())["methods"]) == list(METHODS)
