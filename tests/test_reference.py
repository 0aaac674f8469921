"""The committed reference runs carry their own proof: tables follow from the ranks that lie beside them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from lgsf.metrics.names import RECALLS
from lgsf.metrics.recall import metrics
from lgsf.runs.facts import read_facts
from lgsf.runs.log import read_log
from lgsf.runs.ranks import read_ranks
from lgsf.system.files import read_json

FOLDER = Path(__file__).resolve().parent.parent / "results" / "reference"
TABLES = sorted(FOLDER.glob("*/tables/runs.csv"))


def test_there_are_reference_runs() -> None:
    assert TABLES, f"no tables under {FOLDER}"


@pytest.mark.parametrize("table", TABLES, ids=lambda path: path.parents[1].name)
def test_every_number_follows_from_the_committed_ranks(table: Path) -> None:
    runs = pd.read_csv(table)
    trained = runs[(runs["status"] == "finished") & (runs["kind"] != "control") & (runs["protocol"] == "full")]
    assert len(trained)
    own = table.parents[1] / "runs"  # of this experiment alone; others share runs
    for row in trained.to_dict("records"):
        run = (own if own.is_dir() else FOLDER / "runs") / row["dataset"] / row["method"] / f"seed{row['seed']}"
        ranks = read_ranks(run)
        assert ranks.sha256 == row["ranks_sha256"]
        found = metrics(ranks.i2t, ranks.t2i)
        for metric in (*RECALLS, "rsum"):
            assert found[metric] == pytest.approx(row[metric], abs=1e-6), (run, metric)


def test_every_run_says_what_was_run() -> None:
    for path in sorted(FOLDER.rglob("runs/*/*/seed*/run.json")):
        facts = read_facts(path.parent)
        assert facts.git.commit and facts.git.dirty is False, path
        if facts.kind == "trained":
            assert facts.config == read_json(path.parents[1] / "config.json", hint="copy it"), path
            log = read_log(path.parent)
            assert facts.dev is not None and facts.dev["rsum"] == max(epoch.dev["rsum"] for epoch in log)
