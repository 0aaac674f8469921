"""Every run: its numbers, when and where it was made, its checksums; and the runs that are absent."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import pandas as pd

from lgsf.metrics.names import HEADLINE, in_percent
from lgsf.render.block import (
    Block,
    Cell,
    finite,
    looks_cell,
    metric_columns,
    name_cell,
    numbers,
    table_block,
    value_cell,
    words,
)
from lgsf.render.numbers import NOTHING, decimal, duration, listing, moment


def every_run_block(id_: str, caption: str, runs: pd.DataFrame) -> Block:
    """One row per run of one dataset and protocol: nothing averaged, nothing left out."""
    rows = []
    for run in runs.to_dict("records"):
        values = [value_cell(run[metric], float("nan"), places=2 if in_percent(metric) else 1) for metric in HEADLINE]
        css = "" if run["status"] == "finished" else "warn"
        best = Cell(decimal(run["best_epoch"], 0), sort=finite(run["best_epoch"]))
        seed, status = Cell(str(run["seed"]), sort=float(run["seed"])), Cell(run["status"], css=css)
        rows.append([name_cell(run["title"], run["kind"]), seed, status, *values, best, looks_cell(run["dev_looks"])])
    columns = [*words("method"), *numbers("seed"), *words("status"), *metric_columns(HEADLINE)]
    return table_block(id_, caption, [*columns, *numbers("best epoch", "dev looks")], rows)


def absent_block(id_: str, caption: str, runs: pd.DataFrame) -> Block:
    """Failed and missing runs with their reasons."""
    absent = runs[runs["status"] != "finished"].drop_duplicates(["dataset", "method", "seed"])
    rows = [
        [Cell(run["title"]), Cell(run["dataset"]), Cell(str(run["seed"]), sort=float(run["seed"])),
         Cell(run["status"], css="warn"), Cell(run["reason"], css="prose")]
        for run in absent.to_dict("records")
    ]  # fmt: skip
    return table_block(id_, caption, words("method", "dataset", "seed", "status", "reason"), rows)


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
