"""Code and files are found in a checkout, in an installed package and in a user's folder; a slip is one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lgsf.system.errors import LgsfError
from lgsf.system.project import places


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder with a method and, to mislead, something of the project's name."""
    (tmp_path / "mine.py").write_text("import helper\nfrom baselines.vsepp import VSEPP\n\n\nclass Mine(VSEPP): ...\n")
    (tmp_path / "helper.py").write_text("import torch\n")
    (tmp_path / "baselines.py").write_text("raise SystemExit('the wrong baselines')\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_users_code_and_ours_are_watched_together(folder: Path) -> None:
    files = places.code("lgsf.training.train", "mine")
    assert {folder / "mine.py", folder / "helper.py", places.ROOT / "baselines/vsepp.py"} <= set(files)
    assert folder / "baselines.py" not in files
    assert not [file for file in files if "torch" in file.name]


def test_paths_below_the_working_directory_are_relative(
    folder: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert places.near(places.PACKAGE) == places.PACKAGE
    monkeypatch.chdir(repository)
    assert places.near(places.PACKAGE) == Path("lgsf")
    assert places.own_or_shipped("config/config.yaml") == Path("config/config.yaml")


def test_a_users_file_comes_before_the_shipped_one(folder: Path, repository: Path) -> None:
    assert places.own_or_shipped("config/published.csv") == repository / "config/published.csv"
    (folder / "config").mkdir()
    (folder / "config/published.csv").touch()
    assert places.own_or_shipped("config/published.csv") == Path("config/published.csv")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("baselines.vsep:VSEPP", "a.model: module 'baselines.vsep' does not exist"),
        ("baselines.vsepp:VSEP", "has no class 'VSEP'"),
        ("mine:Mind", "has no class 'Mind'"),
    ],
)
def test_a_misspelled_model_is_one_sentence(folder: Path, model: str, words: str) -> None:
    with pytest.raises(LgsfError, match=words) as caught:
        places.check_models({"good": "mine:Mine", "a": model})
    assert str(caught.value).startswith("the configuration: methods.a.model: ") and str(caught.value).endswith(".")


def test_models_that_are_installed_are_for_the_configure_step_to_find(folder: Path) -> None:
    places.check_models({"vsepp": "baselines.vsepp:VSEPP", "far": "somewhere.else:Method"})


def test_the_command_line_by_its_place_runs_its_own_code(folder: Path, repository: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, repository / "lgsf", "published"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{repository}/config/published.csv: ")
