"""The target `dev`: every listed training and a table of what it reached; nothing is ranked on test."""

from __future__ import annotations

import shutil

from tests.workflow.conftest import SMOKE, Tree


def test_it_trains_and_ranks_nothing(tree: Tree) -> None:
    planned = tree.plan(*SMOKE, "--", "dev")
    assert dict(planned.jobs) == {"prepare": 1, "configure": 3, "train": 6, "dev": 1}


def test_it_needs_nothing_new_where_runs_are(finished: Tree) -> None:
    outcome = finished.snakemake("--cores", "1", *SMOKE, "--", "dev")
    assert outcome.code == 0, outcome.text
    made = finished.root / "results/smoke/tables/smoke/dev"
    rows = (made / "dev.csv").read_text().splitlines()
    shutil.rmtree(made)  # others compare what is in the shared copy
    assert len(rows) == 1 + 6
    assert not any("missing" in row for row in rows)
    assert dict(finished.plan(*SMOKE).jobs) == {}
