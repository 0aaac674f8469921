"""The report's table of the tuning says what the records say, and is absent where nothing was tuned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lgsf.report.page import write_report
from lgsf.report.sections.results.tuning import tuning_block
from lgsf.runs.facts import RunFacts, read_facts
from lgsf.system.errors import LgsfError
from tests.support import synthetic


def test_the_report_tells_how_values_were_tuned(tmp_path: Path) -> None:
    experiment, results = synthetic.experiment(), synthetic.write_results(tmp_path / "results")
    synthetic.mark_tuned(results, "lgsf", 90)
    synthetic.write_tables_and_verdicts(experiment, results=results, out=tmp_path / "out")
    page = write_report(experiment, results=results, tables=tmp_path / "out", out=tmp_path / "out").read_text()
    table = page[page.index("How values were chosen on the dev split of toy") :]
    row = table[table.index("LGSF") : table.index("</tr>", table.index("LGSF"))]
    for cell in ("8", "1", "90", "–", "412.5", "heads 4, training.epochs 12", "5ea1" * 16):
        assert f">{cell}<" in row, cell
    assert "102 / 12" in page  # beside every difference
    assert ">102<" in page
    assert "412.5" in (tmp_path / "out/report.md").read_text()


def _facts(results: Path) -> list[RunFacts]:
    return [read_facts(path.parent) for path in sorted((results / "toy").glob("*/seed0/run.json"))]


def test_an_untuned_method_has_dashes_beside_tuned_ones(tmp_path: Path) -> None:
    results = synthetic.write_results(tmp_path, seeds=(0,))
    assert tuning_block("x", "x", _facts(results)) is None
    synthetic.mark_tuned(results, "lgsf", 90)
    block = tuning_block("x", "x", _facts(results))
    assert block is not None
    rows = {row[0].text: [cell.text for cell in row[1:]] for row in block.rows}
    assert set(rows) == {"LGSF", "Base (all parts off)", "LGSF without GAT", "VSE++"}  # no controls
    assert set(rows["VSE++"]) == {"–"} and len(rows["VSE++"]) == len(block.columns) - 1
    assert rows["LGSF"][:5] == ["8", "1", "90", "–", "412.5"]


def test_a_broken_record_is_one_sentence(tmp_path: Path) -> None:
    results = synthetic.write_results(tmp_path, seeds=(0,))
    path = results / "toy/lgsf/seed0/run.json"
    record = json.loads(path.read_text())
    record["config"]["tuned"] = {"trials": 8}
    path.write_text(json.dumps(record))
    with pytest.raises(LgsfError, match=r"run.json of lgsf, seed 0: config.tuned: key 'dev_looks' is missing"):
        tuning_block("x", "x", _facts(results))
