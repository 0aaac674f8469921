"""The study of LGSF's parts at the sizes of the smoke test: factorial and triangle, from data to report."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.workflow.conftest import copy_repository

TINY = "run: {controls: [random]}\ntraining: {epochs: 1}\n"


@pytest.mark.slow
def test_factorial_and_triangle_from_data_to_report(repository: Path, tmp_path: Path) -> None:
    tree = copy_repository(repository, tmp_path / "tree")
    (tmp_path / "tiny.yaml").write_text(TINY)
    for name, trained in (("factorial", 30), ("triangle", 18)):
        options = ("--configfile", "config/smoke.yaml", f"config/{name}.yaml", str(tmp_path / "tiny.yaml"))
        outcome = tree.snakemake("--cores", "2", *options)
        assert outcome.code == 0, outcome.text
        shared = 6 if name == "triangle" else 0  # lgsf and plain_triplet are there from the factorial
        assert len(outcome.trained) == trained - shared
        assert not tree.plan(*options).jobs
        page = (tree.root / f"reports/{name}/index.html").read_text()
        assert ("What each part does" in page) == (name == "factorial")
    tables = tree.root / "results/smoke/tables"
    effects = pd.read_csv(tables / "factorial/comparison/factorial.csv")
    assert len(effects) == 7 * 3
    assert effects[["estimate", "low", "high", "p_corrected"]].notna().all(axis=None)
    assert not list((tables / "triangle").glob("*/factorial.csv"))
