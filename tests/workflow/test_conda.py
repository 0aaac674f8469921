"""--use-conda for real: an environment is solved, installed and used, without any conda channel on a network."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from tests.workflow.conda_stand_in.channel import build_channel
from tests.workflow.conftest import SMALL, Outcome, Tree

STAND_IN = Path(__file__).parent / "conda_stand_in"


@pytest.mark.parametrize("pip", ["installed", pytest.param("index", marks=pytest.mark.slow)])
def test_every_rule_runs_in_the_environment(tree: Tree, tmp_path: Path, pip: str) -> None:
    """From another directory, where neither PYTHONPATH nor an installation leads the environment to the code."""
    build_channel(tmp_path / "channels", "conda-forge")
    (tmp_path / "small.yaml").write_text(SMALL)
    outcome = run_with_conda(tree, tmp_path, pip)
    assert outcome.code == 0, outcome.text
    assert (tmp_path / "reports/smoke/index.html").is_file()

    (environment,) = (path for path in (tmp_path / ".snakemake/conda").iterdir() if path.is_dir())
    started = (environment / "started.txt").read_text()
    verbs = re.findall(rf"^{re.escape(str(tree.root))}/lgsf (\w+)", started, re.MULTILINE)
    once = ["album", "compare", "configure", "control", "evaluate", "prepare", "report", "tables", "train"]
    assert sorted(verbs) == once

    again = run_with_conda(tree, tmp_path, pip)
    assert "Nothing to be done" in again.text
    assert "Creating conda environment" not in again.text


def run_with_conda(tree: Tree, tmp_path: Path, pip: str) -> Outcome:
    """Snakemake in `tmp_path`, with the stand-in first on PATH."""
    env = {
        "PATH": os.pathsep.join([str(STAND_IN / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "STAND_IN_CHANNELS": str(tmp_path / "channels"),
        "STAND_IN_PIP": pip,
    }
    snakefile, smoke = tree.root / "workflow/Snakefile", tree.root / "config/smoke.yaml"
    options = ("--snakefile", snakefile, "--configfile", smoke, tmp_path / "small.yaml")
    return Tree(tmp_path).snakemake("--cores", "2", "--use-conda", *options, env=env, python_server=False)
