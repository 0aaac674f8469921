"""What follows from runs and tests, as text: the table of results for a spreadsheet, a terminal, a repository page, a paper."""

from __future__ import annotations

import pandas as pd

from lgsf.config.experiment import Experiment
from lgsf.metrics.names import HEADLINE, is_twin
from lgsf.render.latex import latex_table, latex_text
from lgsf.render.markdown import markdown_text, table_lines
from lgsf.render.numbers import LOOKS, PROTOCOL_LABELS, RULE
from lgsf.tables.files import as_csv
from lgsf.tables.results import results_block
from lgsf.tables.summary import differences, summarise


def texts(experiment: Experiment, runs: pd.DataFrame, tests: pd.DataFrame) -> dict[str, str]:
    """summary.csv, .md and .tex, and differences.csv: name -> content.

    runs  as lgsf.tables.collect.collect gives them;  tests  as lgsf.tables.tests.experiment_tests makes them
    """
    summary = summarise(runs)
    changes = pd.concat([differences(summary, reference) for reference in experiment.references])
    return {
        "summary.csv": as_csv(summary),
        "differences.csv": as_csv(changes),
        "summary.md": summary_markdown(experiment, summary),
        "summary.tex": summary_latex(experiment, summary, tests),
    }


def summary_markdown(experiment: Experiment, summary: pd.DataFrame) -> str:
    """`summary.md`: per dataset and protocol one table of mean ± SD over seeds, and how many there were."""
    lines = [
        f"# {markdown_text(experiment.title or experiment.experiment)}",
        "",
        f"Mean ± SD over seeds. {RULE} {LOOKS}",
    ]
    for (dataset, protocol), group in summary.groupby(["dataset", "protocol"], sort=False):
        lines += ["", f"## {markdown_text(dataset)}: {PROTOCOL_LABELS[str(protocol)]}", ""]
        twins = [str(metric) for metric in dict.fromkeys(group["metric"]) if is_twin(str(metric))]
        lines += table_lines(results_block("", "", group, metrics=[*HEADLINE, *twins]))
    return "\n".join(lines) + "\n"


def summary_latex(experiment: Experiment, summary: pd.DataFrame, tests: pd.DataFrame) -> str:
    """`summary.tex`: one table environment per dataset and protocol; needs the package booktabs.

    tests  as lgsf.tables.tests.experiment_tests makes them; only what holds for methods earns a dagger
    """
    parts = ["% needs \\usepackage{booktabs}"]
    titles = {method.name: method.title for method in experiment.methods}
    for (dataset, protocol), group in summary.groupby(["dataset", "protocol"], sort=False):
        own = tests[
            (tests["dataset"] == dataset)
            & (tests["protocol"] == protocol)
            & (tests["reference"] == experiment.reference)
            & (tests["scope"] == "methods")
        ]
        findings = dict(zip(zip(own["method"], own["metric"], strict=True), own["finding"], strict=True))
        reference = latex_text(titles.get(experiment.reference, experiment.reference))
        caption = (
            f"Retrieval on {latex_text(dataset)}, {PROTOCOL_LABELS[str(protocol)]}: mean and standard deviation over "
            f"seeds. Bold: highest mean of a single model. $\\dag$ ($\\ddag$): better (worse) than {reference}, corrected "
            "$p < 0.05$ over seeds and images. Dev looks: training and tuning, per run."
        )
        block = results_block(f"tab:{dataset}-{protocol}", "", group, findings=findings, narrow=True)
        parts += ["", *latex_table(block, caption=caption)]
    return "\n".join(parts) + "\n"
