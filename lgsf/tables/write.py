"""`lgsf tables`: from run folders to tables."""

from __future__ import annotations

from pathlib import Path

from lgsf.config.experiment import Experiment
from lgsf.system.files import write_text
from lgsf.tables.beyond import collect_beyond
from lgsf.tables.collect import collect
from lgsf.tables.factorial import TABLE as FACTORIAL_TABLE
from lgsf.tables.factorial import factorial_runs
from lgsf.tables.files import TESTS, write_parquet
from lgsf.tables.finished import Finished
from lgsf.tables.printed import texts
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
    origin = {"runs.parquet": write_parquet(out / "runs.parquet", runs, {})}
    tests = experiment_tests(experiment, runs, finished)
    write_parquet(out / TESTS, tests, origin)
    twins = twin_runs(experiment, runs, finished)
    write_parquet(out / TWIN_TABLE, twins, origin)
    beyond = collect_beyond(runs, finished)
    write_parquet(out / "beyond.parquet", beyond, origin)
    if experiment.factorial is not None:
        effects = factorial_runs(experiment, runs, finished)
        write_parquet(out / FACTORIAL_TABLE, effects, origin)
    for name, text in texts(experiment, runs, tests).items():
        write_text(out / name, text)
