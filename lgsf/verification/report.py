"""A report: its pages are as they were written, and were made from the tables that lie among the results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lgsf.report.origin import AGAIN, FILE, read_origin
from lgsf.system.artefacts.parquet import read_table
from lgsf.system.errors import LgsfError
from lgsf.system.hashes import sha256
from lgsf.verification.findings import Findings


def verify_report(report: Path, tables: Sequence[Path], findings: Findings) -> None:
    """LgsfError where a page was changed, or none of the folders `tables` holds what it was made from."""
    origin = read_origin(report)
    for name, digest in origin.pages.items():
        if not (report / name).is_file() or sha256(report / name) != digest:
            raise LgsfError(f"{report / name} is not the page that {FILE} names: {AGAIN}.")
        findings.holds("pages of the report")
    if not any(_holds(folder, origin.tables) for folder in tables):
        raise LgsfError(f"{report} was made from other tables than those among the results: {AGAIN}.")
    findings.holds("tables that the report was made from", len(origin.tables))


def _holds(folder: Path, seals: dict[str, str]) -> bool:
    return bool(seals) and all(
        (folder / name).is_file() and read_table(folder / name, hint="run the tables step again").seal == seal
        for name, seal in seals.items()
    )
