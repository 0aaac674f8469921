"""The transductive diagnostic on a page of its own, with its own table, apart from every comparison."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lgsf.config.experiment import Experiment
from lgsf.report.environment import environment
from lgsf.report.sections.transductive import diagnosed
from lgsf.runs.beside.diagnosis import diagnosis_table, read_diagnoses
from lgsf.system.errors import LgsfError
from lgsf.system.files import write_text
from lgsf.system.project.version import __version__


def write_transductive(experiment: Experiment, *, results: Path, out: Path) -> Path:
    """Write index.html and runs.csv of all diagnoses into `out`; returns the path of the page.

    Raises LgsfError where there is none.
    """
    sections = [own for name in experiment.datasets if (own := diagnosed(experiment, results, name))]
    if not sections:
        raise LgsfError(
            f"no run under {results} has a transductive diagnosis of its weights: it needs LGSF with an interaction."
        )
    tables = [diagnosis_table(read_diagnoses(experiment, results, name)) for name in experiment.datasets]
    context = {"title": experiment.title or experiment.experiment, "sections": sections, "version": __version__}
    files = {
        "runs.csv": pd.concat(tables).to_csv(index=False),
        "index.html": environment(escape=True).get_template("transductive_page.html.j2").render(context),
    }
    for name, text in files.items():
        write_text(out / name, text)
    return out / "index.html"
