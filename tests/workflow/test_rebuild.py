"""Every table and page comes from run.json and the evaluated arrays: deleted weights are not missed."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.workflow.conftest import SMOKE, Tree

PLACES = ("results/smoke/tables", "reports/smoke")


def _contents(tree: Tree) -> dict[str, bytes]:
    return {
        name: (tree.root / name).read_bytes()
        for name in sorted(tree.files())
        if name.startswith(PLACES) and "/partial/" not in name
    }


def test_everything_is_rebuilt_without_weights(finished: Tree, tmp_path: Path) -> None:
    before = _contents(finished)
    assert {Path(name).name for name in before} >= {"index.html", "report.md", "summary.tex", "verdicts.csv"}
    weights = sorted((finished.root / "results/smoke").rglob("*.safetensors"))
    assert len(weights) == 12
    for number, path in enumerate(weights):
        shutil.move(path, tmp_path / str(number))
    for place in PLACES:
        shutil.rmtree(finished.root / place)
    try:
        outcome = finished.snakemake("--cores", "2", *SMOKE)
        assert outcome.code == 0, outcome.text
        assert dict(outcome.jobs) == {"table": 1, "album": 1, "compare": 1, "report": 1}
        assert _contents(finished) == before
    finally:
        for number, path in enumerate(weights):
            shutil.move(tmp_path / str(number), path)
