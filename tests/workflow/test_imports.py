"""A model that was trained elsewhere, in the workflow: from a matrix to the page, and what a change of it repeats."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lgsf.data.layout import open_dataset
from tests.workflow.conftest import Overlay, Tree

IMPORTED = {"import_model": 1, "table": 1, "album": 1, "compare": 1, "report": 1}


def own(path: Path, **changes: object) -> str:
    """A configuration over the smoke test's, with tables and a report of its own."""
    entry = {"kind": "scores", "title": "My model", "test": str(path), **changes}
    words = ", ".join(f"{key}: {value}" for key, value in entry.items())
    return f"experiment: own\nrun: {{methods: [lgsf, vsepp, mine], reference: vsepp}}\nimports: {{mine: {{{words}}}}}\n"


@pytest.fixture
def place(finished: Tree) -> Iterator[Tree]:
    """The finished copy, from which the pages and tables of these tests are gone afterwards."""
    yield finished
    for folder in ("reports/own", "results/smoke/tables/own", "results/smoke/scenes/mine"):
        shutil.rmtree(finished.root / folder, ignore_errors=True)


def test_from_a_matrix_to_the_page(place: Tree, overlay: Overlay, tmp_path: Path) -> None:
    finished = place
    split = open_dataset(finished.root / "resources/smoke/scenes").split("test")
    scores = np.random.default_rng(0).standard_normal((len(split.images), len(split.captions)))
    scores[split.caption_image, np.arange(scores.shape[1])] += 3
    file = tmp_path / "scores.npy"
    np.save(file, scores)
    options = overlay(own(file))
    made = finished.snakemake("--cores", "2", *options)
    assert made.code == 0, made.text
    assert made.jobs == IMPORTED
    assert "My model (imported)" in (finished.root / "reports/own/index.html").read_text()
    tests = pd.read_csv(finished.root / "results/smoke/tables/own/comparison/comparisons.csv")
    assert tests.loc[(tests["method"] == "mine") & (tests["scope"] == "checkpoints"), "p"].notna().all()
    assert not finished.plan(*options).jobs
    np.save(file, scores + 1)
    assert finished.plan(*options).jobs == IMPORTED  # and nothing is trained
    assert (
        finished.plan(
            *overlay(
                own(file, title="Another title"),
            )
        ).jobs["import_model"]
        == 1
    )
    file.unlink()
    gone = finished.plan(*overlay(own(file)))
    assert not gone.jobs and "is taken as it stands" in gone.text
    changed = finished.snakemake("--dry-run", *overlay(own(file, ensemble="true")))
    assert changed.code == 1 and f"Error: imports.mine.test: {file} is missing" in changed.text
    # The run that is there, named as it is; under a name of its own where it lies elsewhere.
    run = finished.root / "results/smoke/scenes/mine/seed0"
    named = "experiment: own\nrun: {methods: [lgsf, vsepp, mine], reference: vsepp}\nimports: {mine: {kind: run, path: %s}}\n"
    assert "import_model" not in finished.plan(*overlay(named % run)).jobs
    shutil.move(run, tmp_path / "seed0")
    assert finished.plan(*overlay(named % (tmp_path / "seed0"))).jobs == IMPORTED


def test_a_trained_run_is_not_replaced(finished: Tree, overlay: Overlay) -> None:
    text = (
        "imports: {ours: {kind: scores, test: config/config.yaml}}\nrun: {methods: [vsepp, ours], reference: vsepp}\n"
    )
    runs = finished.root / "results/smoke/scenes"
    shutil.copytree(runs / "vsepp/seed0", runs / "ours/seed0")
    try:
        outcome = finished.snakemake("--dry-run", *overlay(text))
        assert outcome.code == 1 and "holds a run that was made in another way, and imports.ours" in outcome.text
    finally:
        shutil.rmtree(runs / "ours")
