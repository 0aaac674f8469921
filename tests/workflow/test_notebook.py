"""The committed notebook runs where the smoke test has run, and ends in a picture of what was found."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from lgsf.runs.ranks import read_ranks
from tests.workflow.conftest import Tree

NOTEBOOK, RUNNER = "docs/retrieval.ipynb", "tests/support/notebook.py"


@pytest.mark.seconds
def test_the_notebook_runs_and_shows_what_the_tables_say(finished: Tree) -> None:
    done = finished.forked(RUNNER, NOTEBOOK)
    assert done.code == 0, done.text
    shown = [output["data"] for outputs in json.loads(done.text) for output in outputs or []]
    picture = Image.open(io.BytesIO(base64.b64decode(shown[-1]["image/jpeg"])))
    assert picture.width > 400 and picture.height > 400
    assert len(set(picture.convert("L").resize((64, 64)).tobytes())) > 20  # not a blank page
    ranks = read_ranks(finished.root / "results/smoke/scenes/lgsf/seed0").metrics()["full"]
    texts = ["".join(data["text/plain"]) for data in shown]
    assert any(f"rSum {ranks['rsum']:.1f}" in text for text in texts)
    assert any("words from regions, rSum: " in text for text in texts)


def test_the_notebook_is_committed_with_its_pictures(repository: Path) -> None:
    notebook = json.loads((repository / NOTEBOOK).read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert notebook["nbformat"] == 4 and all(cell["execution_count"] == n for n, cell in enumerate(code, 1))
    assert "image/jpeg" in code[-1]["outputs"][-1]["data"]
    assert (repository / NOTEBOOK).stat().st_size < 120_000
