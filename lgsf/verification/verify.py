"""`lgsf verify`: follow every number from the report back to the data, and name the first link that does not hold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lgsf.data.checks.verified import verify_split
from lgsf.data.layout import Dataset, open_dataset
from lgsf.runs.record import FILE
from lgsf.system.artefacts.inputs import Inputs
from lgsf.system.errors import LgsfError
from lgsf.verification.findings import Findings
from lgsf.verification.report import verify_report
from lgsf.verification.run import verify_run
from lgsf.verification.tables import verify_tables

SEED = re.compile(r"seed\d+")


def verify(*, report: Path | None, results: Path | None, datasets: Sequence[Path]) -> str:
    """Check what is given, in the order of the chain; returns what was found, to be printed.

    report    folder of a report: its pages, and that they were made from the tables in `results`
    results   folder of runs and tables, at any depth: tables follow from ranks, ranks belong to runs, runs to weights
    datasets  prepared datasets: every byte against its checksum, and whether the runs of that name were made from them

    Raises LgsfError for the first link that does not hold.
    """
    if results is None and not datasets:
        raise LgsfError("give --results, --dataset or both: what is to be verified.")
    if report is not None and results is None:
        raise LgsfError("--report needs --results: a report is followed to its tables and runs there.")
    findings = Findings()
    if results is not None:
        runs, tables = _found(results)
        if not runs and not tables:
            raise LgsfError(f"{results} holds neither runs nor tables; name the folder of results.")
        if report is not None:
            verify_report(report, tables, findings)
        for folder in tables:
            verify_tables(folder, results, findings)
        data = [_open(root, findings) for root in datasets]
        for run in runs:
            verify_run(run, {one.name: one for one in data}, findings)
    else:
        data = [_open(root, findings) for root in datasets]
    for one in data:
        _verify_dataset(one, findings)
    return findings.text()


def _found(results: Path) -> tuple[list[Path], list[Path]]:
    """Folders of runs and of tables, at any depth; trials of a tuning are no runs."""
    if not results.is_dir():
        raise LgsfError(f"{results} is no folder: name the folder of results.")
    records = [path.parent for path in sorted(results.rglob(FILE)) if SEED.fullmatch(path.parent.name)]
    tables = {path.parent for name in ("runs.parquet", "runs.csv") for path in results.rglob(name)}
    return records, sorted(tables)


def _open(root: Path, findings: Findings) -> Dataset:
    findings.holds("dataset.json")
    return open_dataset(root)


def _verify_dataset(data: Dataset, findings: Findings) -> None:
    data.vocabulary()
    for name, split in data.manifest["splits"].items():
        verify_split(data.root, name, split["sha256"], (), Inputs(), always=True)
        data.split(name)
        findings.holds("files of datasets", len(split["sha256"]))
