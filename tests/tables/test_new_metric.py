"""The walk of somebody who adds a metric: one row and one function in a copy of the code, then it stands in every table."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support import python_server, synthetic

pytestmark = pytest.mark.seconds

ROW = '    Measure(name="mrr", label="MRR", kind="rank", headline=True),\n'
FUNCTION = '''

@measure
def mrr(ranks: Ints) -> float:
    """Mean reciprocal rank in percent."""
    return 100.0 * float((1 / (ranks + 1)).mean())
'''
HEADS = ["i2t R@1", "i2t R@5", "i2t R@10", "t2i R@1", "t2i R@5", "t2i R@10", "rSum", "i2t MRR", "t2i MRR"]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """Tables and report made by a copy of the package that has the row and the function."""
    root = tmp_path_factory.mktemp("walk")
    shutil.copytree(repository / "lgsf", root / "lgsf", ignore=shutil.ignore_patterns("__pycache__"))
    names, recall = root / "lgsf/metrics/names.py", root / "lgsf/metrics/recall.py"
    last = '    Measure(name="meanr",'
    assert last in names.read_text()
    names.write_text(names.read_text().replace(last, ROW + last))
    recall.write_text(recall.read_text() + FUNCTION)
    results = synthetic.write_results(root / "results")
    experiment = synthetic.experiment().model_dump_json()
    for arguments in (
        ["tables", "--results", results, "--out", root / "tables"],
        ["compare", "--tables", root / "tables", "--table", synthetic.PUBLISHED, "--out", root / "tables"],
        ["report", "--results", results, "--tables", root / "tables", "--out", root / "report"],
    ):
        verb = ["bash", "-c", 'python "$@"', "bash", root / "lgsf", *arguments, "--experiment", experiment]
        subprocess.run(verb, cwd=root, env=os.environ | python_server.environment(), check=True, capture_output=True)
    return root


def test_runs_and_summary_hold_it(out: Path) -> None:
    runs = pd.read_csv(out / "tables/runs.csv")
    assert list(runs.columns[runs.columns.str.endswith("_mrr")]) == ["i2t_mrr", "t2i_mrr"]
    with np.load(out / "results/toy/lgsf/seed1/test/ranks.npz") as file:
        expected = 100 * np.mean([1 / (rank + 1) for rank in file["t2i"].tolist()])
    assert runs.loc[(runs["method"] == "lgsf") & (runs["seed"] == 1), "t2i_mrr"].item() == pytest.approx(expected)
    summary = pd.read_csv(out / "tables/summary.csv")
    assert {"i2t_mrr", "t2i_mrr"} <= set(summary["metric"])
    assert {"i2t_mrr", "t2i_mrr"} <= set(pd.read_csv(out / "tables/differences.csv")["metric"])  # higher is better


@pytest.mark.parametrize("name", ["tables/summary.md", "report/report.md"])
def test_markdown_shows_it(out: Path, name: str) -> None:
    lines = (out / name).read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if " | ".join(HEADS) in line)
    table = lines[start : start + 2 + (6 if name.startswith("tables") else 10)]  # the page has four groups
    assert {line.count("|") for line in table} == {table[0].count("|")}
    (row,) = (line for line in table if line.startswith("| Oracle"))
    assert row.count("100.0 ± 0.0") == 8


def test_latex_shows_it_under_its_direction(out: Path) -> None:
    text = (out / "tables/summary.tex").read_text(encoding="utf-8")
    columns = re.search(r"\\begin\{tabular\}\{(\w+)\}", text)
    assert columns is not None and columns[1] == "ll" + "r" * (len(HEADS) + 1)
    assert r"Method & Text encoder & R@1 & R@5 & R@10 & R@1 & R@5 & R@10 & rSum & MRR & MRR & Dev looks \\" in text
    assert r"\multicolumn{1}{c}{image to text} & \multicolumn{1}{c}{text to image} & \\" in text
    assert r"\cmidrule(lr){3-5}\cmidrule(lr){6-8}\cmidrule(lr){10-10}\cmidrule(lr){11-11}" in text
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert [line.count("&") for line in rows] == [len(columns[1]) - 1] * 6


def test_the_page_shows_it(out: Path) -> None:
    page = (out / "report/index.html").read_text(encoding="utf-8").replace("\u00a0", " ")
    shared = ["R@1", "R@5", "R@10", "R@1", "R@5", "R@10", "rSum", "MRR", "MRR"]
    for id_ in ("toy-full-results", "toy-runs"):
        start = page.index(f'id="{id_}"')
        table = page[start : page.index("</table>", start)]
        heads = re.findall(r"<th role=\"columnheader\" scope=\"col\"[^>]*>(.*?)</th>", table)
        assert [head for head in heads if head in shared] == shared
        rows = table[table.index("<tbody") :].split('<tr role="row">')[1:]
        assert {row.count("<td") + 1 for row in rows} == {len(heads)}
