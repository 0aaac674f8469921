"""Where the numbers come from: versions, when and where every run was made, its checksums."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from lgsf.render.block import Block, Cell, finite, numbers, table_block, words
from lgsf.render.flow import Details, Item, Paragraph
from lgsf.render.numbers import NOTHING, decimal, duration, listing, moment
from lgsf.report.collected import Collected
from lgsf.report.section import Section
from lgsf.runs.facts import RunFacts

INTRODUCTION = (
    "Any number can be followed back by hand: this page, a row of runs.csv, a run's ranks.npz and run.json, its "
    "configuration and dataset, their checksums."
)


def section(found: Collected) -> Section:
    made = provenance_block("provenance-runs", "When and where every finished run was trained", found.runs)
    checksums = checksum_block("checksums", "Checksums of every finished run", found.runs)
    items: tuple[Item, ...] = (
        Paragraph(INTRODUCTION, page_only=True),
        Details("Versions", tuple(Paragraph(sentence) for sentence in package_sentences(_environments(found.records)))),
        Details("When and where every run was trained", (made,)),
        Details("Checksums", (checksums,)),
    )
    return Section("provenance", "Provenance", nav="Provenance", items=items)


def provenance_block(id_: str, caption: str, runs: pd.DataFrame) -> Block:
    """When and where every finished run was made, and whether it was interrupted."""
    rows = [
        [
            Cell(run["folder"]),
            Cell(run["device"], css="prose"),
            *(Cell(moment(run[name])) for name in ("started", "ended")),
            Cell(duration(run["seconds"]), sort=finite(run["seconds"])),
            Cell(decimal(run["resumed"], 0), sort=finite(run["resumed"])),
        ]
        for run in _finished(runs)
    ]
    return table_block(
        id_, caption, [*words("run", "device", "started (UTC)", "ended (UTC)"), *numbers("training", "resumed")], rows
    )


def checksum_block(id_: str, caption: str, runs: pd.DataFrame) -> Block:
    """Code, configuration, dataset and ranks of every finished run, each by its hash."""
    rows = []
    for run in _finished(runs):
        commit = run["git_commit"] if isinstance(run["git_commit"], str) else NOTHING
        changed = "and uncommitted changes" if run["git_dirty"] is True else ""
        hashes = (_hash(run[name]) for name in ("config_sha256", "dataset_sha256", "ranks_sha256"))
        rows.append([Cell(run["folder"]), Cell(commit, changed, css="hash"), *hashes])
    columns = words("run", "git commit", "config sha256", "dataset.json sha256", "test ranks.npz sha256")
    return table_block(id_, caption, columns, rows)


def _finished(runs: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """Records of finished runs, each once whatever its protocols, with the name of its folder."""
    once = runs[runs["status"] == "finished"].drop_duplicates(["dataset", "method", "seed"])
    folder = once["dataset"] + "/" + once["method"] + "/seed" + once["seed"].astype(str)
    return once.assign(folder=folder).to_dict("records")


def package_sentences(environments: dict[tuple[tuple[str, str], ...], list[str]]) -> list[str]:
    """`torch 2.8.0, numpy 2.1.0: 12 runs` for every distinct set of versions, with the runs where there are several."""
    sentences = []
    for versions, names in environments.items():
        packages = listing([f"{name} {version}" for name, version in versions])
        who = f"all {len(names)} finished runs" if len(environments) == 1 else ", ".join(names)
        sentences.append(f"{packages} – {who}.")
    return sentences


def _hash(value: object) -> Cell:
    return Cell(value if isinstance(value, str) else NOTHING, css="hash")


def _environments(records: Mapping[str, RunFacts]) -> dict[tuple[tuple[str, str], ...], list[str]]:
    """Distinct sets of versions -> the runs that used them."""
    found: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for folder, facts in records.items():
        versions = (("Python", facts.python), *sorted(facts.packages.items()))
        found.setdefault(versions, []).append(folder)
    return found
