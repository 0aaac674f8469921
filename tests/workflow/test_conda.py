"""--use-conda for real: an environment is solved, installed and used, without any conda channel on a network."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from tests.workflow.conda_stand_in.channel import build_channel
from tests.workflow.conftest import SMOKE, Outcome, Tree, copy_repository

STAND_IN = Path(__file__).parent / "conda_stand_in"
# Every rule once; the test of the whole smoke run is test_smoke.py.
SMALL = "run: {methods: [lgsf], seeds: [0], controls: [random], reference: lgsf}\n"


@pytest.mark.parametrize("pip", ["installed", pytest.param("index", marks=pytest.mark.slow)])
def test_every_rule_runs_in_the_environment(repository: Path, tmp_path: Path, pip: str) -> None:
    tree = copy_repository(repository, tmp_path / "tree")
    build_channel(tmp_path / "channels", "conda-forge")
    (tmp_path / "small.yaml").write_text(SMALL)
    outcome = run_with_conda(tree, tmp_path, pip)
    assert outcome.code == 0, outcome.text
    assert (tree.root / "reports/smoke/index.html").is_file()

    (environment,) = (path for path in (tree.root / ".snakemake/conda").iterdir() if path.is_dir())
    started = (environment / "started.txt").read_text()
    verbs = re.findall(r"^-m lgsf (\w+)", started, re.MULTILINE)
    once = ["album", "compare", "configure", "control", "evaluate", "prepare", "report", "tables", "train"]
    assert sorted(verbs) == once

    again = run_with_conda(tree, tmp_path, pip)
    assert "Nothing to be done" in again.text
    assert "Creating conda environment" not in again.text


def run_with_conda(tree: Tree, tmp_path: Path, pip: str) -> Outcome:
    """Snakemake with the stand-in first on PATH."""
    env = {
        "PATH": os.pathsep.join([str(STAND_IN / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "STAND_IN_CHANNELS": str(tmp_path / "channels"),
        "STAND_IN_PIP": pip,
    }
    return tree.snakemake("--cores", "2", "--use-conda", *SMOKE, tmp_path / "small.yaml", env=env)
