"""The LaTeX table: every row has its columns, text is literal, and it compiles where there is a LaTeX."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lgsf.render.latex import latex_text
from lgsf.tables.collect import collect
from lgsf.tables.finished import Finished
from lgsf.tables.printed import summary_latex
from lgsf.tables.summary import summarise
from lgsf.tables.tests import experiment_tests
from tests.support import synthetic


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> str:
    results = synthetic.write_results(tmp_path_factory.mktemp("results"))
    methods = [{"name": n, "title": t} for n, t, *_ in synthetic.METHODS]
    methods[1]["title"] = r"50% {A_B} \ #1 & more"
    experiment = synthetic.experiment(methods=methods, reference="base")
    runs = collect(experiment, Finished(results))
    return summary_latex(experiment, summarise(runs), experiment_tests(experiment, runs, Finished(results)))


def test_special_characters_are_printed_literally() -> None:
    assert latex_text("50% {A_B} \\ #1\n& ~^") == (
        r"50\% \{A\_B\} \textbackslash{} \#1 \& \textasciitilde{}\textasciicircum{}"
    )


def test_every_row_has_all_columns(table: str) -> None:
    body = table[table.index(r"\midrule") : table.index(r"\bottomrule")]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 6
    for row in rows:
        assert len(re.findall(r"(?<!\\)&", row)) == 9
    assert r"\begin{tabular}{llrrrrrrrr}" in table
    assert r"\cmidrule(lr){3-5}\cmidrule(lr){6-8}" in table


def test_gaps_controls_and_best_values_are_marked(table: str) -> None:
    assert "VSE++ (2 of 3 seeds) &" in table
    assert r"Oracle (ground truth) \emph{(control)} & -- & 100.0" in table
    assert r"\textbf{478.9}" in table
    assert r"\textbf{600.0}" not in table


def test_a_dagger_stands_only_where_a_test_says_so(tmp_path: Path) -> None:
    results = synthetic.write_results(tmp_path)
    experiment = synthetic.experiment(reference="base")
    runs = collect(experiment, Finished(results))
    summary, comparisons = summarise(runs), experiment_tests(experiment, runs, Finished(results))
    comparisons["finding"] = "no difference shown"
    assert r"\textsuperscript" not in summary_latex(experiment, summary, comparisons)
    chosen = (comparisons["method"] == "lgsf") & (comparisons["metric"] == "t2i_r1")
    comparisons.loc[chosen & (comparisons["scope"] == "checkpoints"), "finding"] = "scored higher than"
    assert r"\textsuperscript" not in summary_latex(experiment, summary, comparisons)
    comparisons.loc[chosen & (comparisons["scope"] == "methods"), "finding"] = "beats"
    assert summary_latex(experiment, summary, comparisons).count(r"\textsuperscript{\dag}") == 1


def test_braces_and_environments_close(table: str) -> None:
    depth, environments = 0, []
    for token in re.findall(r"\\(?:begin|end)\{(\w+)\}|\\.|([{}])", table):
        depth += {"{": 1, "}": -1}.get(token[1], 0)
        assert depth >= 0
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", table):
        if kind == "begin":
            environments.append(name)
        else:
            assert environments.pop() == name
    assert depth == 0 and not environments


def test_an_ensemble_has_its_column_in_words(tmp_path: Path) -> None:
    experiment, results = synthetic.experiment(), synthetic.write_results(tmp_path)
    runs = collect(experiment, Finished(results))
    summary = summarise(runs)
    summary.loc[summary["method"] == "lgsf", "ensemble"] = "yes"
    table = summary_latex(experiment, summary, experiment_tests(experiment, runs, Finished(results)))
    assert "Method & Text encoder & Ensemble & R@1" in table
    assert "LGSF & BiGRU & yes &" in table
    assert "VSE++ (2 of 3 seeds) & GRU & no &" in table
    assert "All methods: features toy." in table


@pytest.mark.slow
def test_it_compiles(table: str, tmp_path: Path) -> None:
    compiler = shutil.which("pdflatex")
    if compiler is None:
        pytest.skip("no pdflatex on this machine; on Debian: apt-get install texlive-latex-recommended")
    document = f"\\documentclass{{article}}\n\\usepackage{{booktabs}}\n\\begin{{document}}\n{table}\\end{{document}}\n"
    (tmp_path / "table.tex").write_text(document, encoding="utf-8")
    done = subprocess.run(
        [compiler, "-interaction=nonstopmode", "-halt-on-error", "table.tex"], cwd=tmp_path, capture_output=True
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
