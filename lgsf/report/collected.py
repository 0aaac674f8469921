"""All that the report is made from, read once: the tables of an experiment, the records of its runs, its albums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from lgsf.config.experiment import Experiment, subject_of
from lgsf.gallery.album import Album, read_album
from lgsf.runs.facts import RunFacts, read_facts
from lgsf.runs.log import Epoch, read_log
from lgsf.system.errors import LgsfError
from lgsf.system.hashes import sha256
from lgsf.tables.factorial import read_effects
from lgsf.tables.files import read_beyond, read_runs, read_tests
from lgsf.tables.summary import summarise
from lgsf.tables.twins import read_twin_tests
from lgsf.verdict.files import read_verdicts


@dataclass(frozen=True)
class Trained:
    """A finished run that was no control, with its log."""

    dataset: str
    method: str
    title: str
    seed: int
    folder: Path
    facts: RunFacts
    log: Sequence[Epoch]


class Collected:
    """Everything of one experiment; LgsfError where a file is absent, broken or of another experiment.

    runs, summary, tests, beyond, verdicts, claims   tables; effects  that of the factorial, None without one
    twins    tests of twin accuracies, None where the experiment has no controls of the bench
    records  folder of a run, relative to the results -> its run.json, in the order of the tables
    data     dataset -> what its runs' records say of it
    albums   dataset -> its album, of those that have one
    titles   method -> how tables call it;  subject  the method that the page is about
    """

    def __init__(self, experiment: Experiment, *, results: Path, tables: Path) -> None:
        self.experiment, self.results = experiment, results
        self.runs = read_runs(experiment, tables)
        self.summary = summarise(self.runs)
        self.tests, self.beyond = read_tests(tables), read_beyond(tables)
        self.effects = read_effects(tables) if experiment.factorial is not None else None
        self.twins = read_twin_tests(tables) if experiment.validity is not None else None
        self.verdicts, self.claims = read_verdicts(tables)
        self.titles = {method.name: method.title for method in experiment.methods}
        self.subject = subject_of(experiment)
        rows = self.runs[self.runs["status"] == "finished"]
        folders = rows["dataset"] + "/" + rows["method"] + "/seed" + rows["seed"].astype(str)
        ranks = dict(zip(folders, rows["ranks_sha256"].astype(str), strict=True))
        albums = {name: read_album(tables / "album" / f"{name}.json", ranks) for name in experiment.datasets}
        self.albums: dict[str, Album] = {name: album for name, album in albums.items() if album is not None}
        finished = set(zip(rows["dataset"], rows["method"], rows["seed"], strict=True))
        self._finished = [run for run in experiment.expected() if (run.dataset, run.method, run.seed) in finished]
        self._refuse_newer_runs(rows.assign(folder=folders).drop_duplicates("folder"))
        self.records: dict[str, RunFacts] = {run.folder: read_facts(results / run.folder) for run in self._finished}
        self.data: dict[str, dict[str, Any]] = {}
        for facts in self.records.values():
            self.data.setdefault(facts.dataset, facts.data)

    def _refuse_newer_runs(self, rows: pd.DataFrame) -> None:
        """LgsfError where a run's files are no longer those that the tables were made from."""
        for row in rows.to_dict("records"):
            for name, column in (("run.json", "run_sha256"), ("test/ranks.npz", "ranks_sha256")):
                path = self.results / row["folder"] / name
                if path.is_file() and sha256(path) != row[column]:
                    raise LgsfError(f"{path} is another than the tables were made from: run the tables step again.")

    def protocols(self, dataset: str) -> list[str]:
        """The protocols of a dataset's tables, the headline's first."""
        return [str(name) for name in dict.fromkeys(self.runs.loc[self.runs["dataset"] == dataset, "protocol"])]

    @staticmethod
    def of(table: pd.DataFrame, dataset: str, protocol: str) -> pd.DataFrame:
        """The rows of one dataset and protocol."""
        return table[(table["dataset"] == dataset) & (table["protocol"] == protocol)]

    def titled(self, title: str, dataset: str) -> str:
        """The title, with the dataset where there are several."""
        return f"{title}: {dataset}" if len(self.experiment.datasets) > 1 else title

    def facts(self, dataset: str) -> list[RunFacts]:
        """Records of the finished runs of a dataset."""
        return [self.records[run.folder] for run in self._finished if run.dataset == dataset]

    def trained(self, dataset: str) -> list[Trained]:
        """Finished runs of one dataset that were no controls."""
        return [run for run in self._trained if run.dataset == dataset]

    @cached_property
    def _trained(self) -> list[Trained]:
        found = []
        for run in self._finished:
            if not run.is_control:
                folder, facts = self.results / run.folder, self.records[run.folder]
                found.append(Trained(run.dataset, run.method, run.title, run.seed, folder, facts, read_log(folder)))
        return found
