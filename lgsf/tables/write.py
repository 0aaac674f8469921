"""`lgsf tables`: from run folders to tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lgsf.config.experiment import Experiment
from lgsf.system.files import write_text
from lgsf.tables.beyond import collect_beyond
from lgsf.tables.collect import collect
from lgsf.tables.factorial import TABLE as FACTORIAL_TABLE
from lgsf.tables.factorial import factorial_runs
from lgsf.tables.files import TESTS, write_parquet
from lgsf.tables.finished import Finished
from lgsf.tables.printed import summary_latex, summary_markdown
from lgsf.tables.summary import differences, summarise
from lgsf.tables.tests import experiment_tests
from lgsf.tables.twins import TABLE as TWIN_TABLE
from lgsf.tables.twins import twin_runs


def write_tables(experiment: Experiment, *, results: Path, out: Path) -> None:
    """Write runs, summary, differences and comparisons into `out`, each file atomically.

    runs, comparisons, twins and beyond as .parquet and .csv, differences.csv, summary.csv, .md and .tex; for an experiment
    with a factorial also factorial.parquet and .csv
    """
    finished = Finished(results)
    runs = collect(experiment, finished)
    summary = summarise(runs)
    origin = {"runs.parquet": write_parquet(out / "runs.parquet", runs, {})}
    write_text(out / "runs.csv", runs.to_csv(index=False))
    write_text(out / "summary.csv", summary.to_csv(index=False))
    changes = pd.concat([differences(summary, reference) for reference in experiment.references])
    write_text(out / "differences.csv", changes.to_csv(index=False))
    tests = experiment_tests(experiment, runs, finished)
    write_parquet(out / TESTS, tests, origin)
    write_text(out / "comparisons.csv", tests.to_csv(index=False))
    twins = twin_runs(experiment, runs, finished)
    write_parquet(out / TWIN_TABLE, twins, origin)
    write_text(out / "twins.csv", twins.to_csv(index=False))
    beyond = collect_beyond(runs, finished)
    write_parquet(out / "beyond.parquet", beyond, origin)
    write_text(out / "beyond.csv", beyond.to_csv(index=False))
    if experiment.factorial is not None:
        effects = factorial_runs(experiment, runs, finished)
        write_parquet(out / FACTORIAL_TABLE, effects, origin)
        write_text(out / "factorial.csv", effects.to_csv(index=False))
    write_text(out / "summary.md", summary_markdown(experiment, summary))
    write_text(out / "summary.tex", summary_latex(experiment, summary, tests))
