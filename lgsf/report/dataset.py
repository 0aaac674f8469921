"""What the report shows of each dataset: tables and plots, from the files of its runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lgsf.config.experiment import Experiment, subject_of
from lgsf.metrics.names import is_twin
from lgsf.render.block import Block
from lgsf.render.numbers import PROTOCOL_LABELS
from lgsf.render.plots import Plot
from lgsf.report.sections.beyond import Beyond, beyond_part
from lgsf.report.sections.cost import cost_block, cost_plots
from lgsf.report.sections.data import data_block
from lgsf.report.sections.differences import design_block, difference_plots, differences_block
from lgsf.report.sections.factorial import FactorialPart, factorial_part
from lgsf.report.sections.learning import Trained, learning_plots, term_plots
from lgsf.report.sections.results import RankPair, recall_plots, score_plots
from lgsf.report.sections.runs import every_run_block
from lgsf.report.sections.tuning import tuning_block
from lgsf.report.transductive import TransductivePart, transductive_part
from lgsf.runs.facts import RunFacts, read_facts
from lgsf.runs.log import read_log
from lgsf.runs.ranks import read_ranks
from lgsf.tables.factorial import read_effects
from lgsf.tables.files import read_beyond, read_runs, read_tests
from lgsf.tables.inputs import changed_inputs
from lgsf.tables.results import results_block
from lgsf.tables.summary import differences, summarise


@dataclass(frozen=True)
class Comparison:
    """All methods against one of them; `untested` says why there is no test, if so for every method."""

    reference: str
    differences: Block
    design: Block
    plots: list[Plot]
    untested: str


@dataclass(frozen=True)
class Protocol:
    """Results of one dataset under one protocol."""

    label: str
    results: Block
    score_plots: list[Plot]
    comparisons: list[Comparison]
    factorial: FactorialPart | None


@dataclass(frozen=True)
class DatasetPart:
    """Everything that the page shows of one dataset."""

    name: str
    data: Block | None
    tuning: Block | None
    protocols: list[Protocol]
    twins: Block | None
    beyond: Beyond
    recall_plots: list[Plot]
    learning_plots: list[Plot]
    term_plots: dict[str, list[Plot]]
    cost: Block
    cost_plots: list[Plot]
    every_run: Block
    transductive: TransductivePart | None

    def plots(self) -> Iterator[Plot]:
        """All plots, in the order of the page."""
        for protocol in self.protocols:
            yield from protocol.score_plots
            for comparison in protocol.comparisons:
                yield from comparison.plots
            if protocol.factorial is not None:
                yield from protocol.factorial.plots
        yield from (*self.recall_plots, *self.beyond.plots, *self.learning_plots)
        for group in self.term_plots.values():
            yield from group
        yield from self.cost_plots


class Collected:
    """The tables of an experiment and the records of its finished runs, read once.

    records  folder of a run, relative to the results -> its run.json, in the order of the tables
    data     dataset -> what its runs' records say of it
    """

    def __init__(self, experiment: Experiment, *, results: Path, tables: Path) -> None:
        self.experiment, self._results = experiment, results
        self.runs = read_runs(experiment, tables)
        self.summary = summarise(self.runs)
        self.tests = read_tests(tables)
        self.beyond = read_beyond(tables)
        self._effects = read_effects(tables) if experiment.factorial is not None else None
        self.titles = {method.name: method.title for method in experiment.methods}
        self.subject = subject_of(experiment)
        rows = self.runs[self.runs["status"] == "finished"]
        finished = set(zip(rows["dataset"], rows["method"], rows["seed"], strict=True))
        self._finished = [run for run in experiment.expected() if (run.dataset, run.method, run.seed) in finished]
        self.records: dict[str, RunFacts] = {run.folder: read_facts(results / run.folder) for run in self._finished}
        self.data: dict[str, dict[str, Any]] = {}
        for facts in self.records.values():
            self.data.setdefault(facts.dataset, facts.data)

    def ranks(self) -> dict[str, str]:
        """Folder of every finished run -> sha256 of its test ranks."""
        rows = self.runs[self.runs["status"] == "finished"]
        folders = rows["dataset"] + "/" + rows["method"] + "/seed" + rows["seed"].astype(str)
        return dict(zip(folders, rows["ranks_sha256"].astype(str), strict=True))

    def part(self, dataset: str) -> DatasetPart:
        """The part of the page about one dataset."""
        here = self.runs[self.runs["dataset"] == dataset]
        first = str(here["protocol"].iloc[0])
        runs, summary = self._of(dataset, first, self.runs), self._of(dataset, first, self.summary)
        trained = self._trained(dataset)
        twins = None
        if kinds := [str(name) for name in dict.fromkeys(summary["metric"]) if is_twin(str(name))]:
            twins = results_block(f"{dataset}-twins", f"Twin accuracy on {dataset}, percent", summary, metrics=kinds)
        data = None
        if dataset in self.data:
            data = data_block(f"{dataset}-data", f"What {dataset} holds", self.data[dataset]["splits"])
        return DatasetPart(
            name=dataset,
            data=data,
            tuning=tuning_block(
                f"{dataset}-tuning", f"How values were chosen on the dev split of {dataset}", self._facts(dataset)
            ),
            protocols=[self._protocol(dataset, str(name)) for name in dict.fromkeys(here["protocol"])],
            twins=twins,
            beyond=beyond_part(
                dataset,
                self.beyond[self.beyond["dataset"] == dataset],
                runs,
                self.summary[self.summary["dataset"] == dataset],
            ),
            recall_plots=self._recall_plots(dataset, first, trained),
            learning_plots=learning_plots(dataset, trained),
            term_plots=term_plots(dataset, trained),
            cost=cost_block(f"{dataset}-cost", f"What training on {dataset} cost, mean over seeds", runs),
            cost_plots=cost_plots(dataset, runs, self.subject),
            every_run=every_run_block(f"{dataset}-runs", f"Every run on {dataset}", runs),
            transductive=transductive_part(self.experiment, self._results, dataset),
        )

    @staticmethod
    def _of(dataset: str, protocol: str, table: pd.DataFrame) -> pd.DataFrame:
        return table[(table["dataset"] == dataset) & (table["protocol"] == protocol)]

    def _facts(self, dataset: str) -> list[RunFacts]:
        return [self.records[run.folder] for run in self._finished if run.dataset == dataset]

    def _trained(self, dataset: str) -> list[Trained]:
        """Finished runs of one dataset that were no controls, with their logs."""
        return [
            Trained(run.method, run.title, run.seed, folder, self.records[run.folder], read_log(folder))
            for run in self._finished
            if run.dataset == dataset and not run.is_control and (folder := self._results / run.folder)
        ]

    def _protocol(self, dataset: str, protocol: str) -> Protocol:
        runs, summary = self._of(dataset, protocol, self.runs), self._of(dataset, protocol, self.summary)
        label, prefix = PROTOCOL_LABELS[protocol], f"{dataset}-{protocol}"
        comparisons = [self._comparison(dataset, protocol, reference) for reference in self.experiment.references]
        return Protocol(
            label=label,
            results=results_block(
                f"{prefix}-results", f"Retrieval on {dataset}, {label}: mean ± SD over seeds", summary
            ),
            score_plots=score_plots(prefix, runs, self.subject),
            comparisons=[comparison for comparison in comparisons if comparison is not None],
            factorial=self._factorial(dataset, protocol, runs),
        )

    def _factorial(self, dataset: str, protocol: str, runs: pd.DataFrame) -> FactorialPart | None:
        design, effects = self.experiment.factorial, self._effects
        if design is None or effects is None:
            return None
        here = effects[(effects["dataset"] == dataset) & (effects["protocol"] == protocol)]
        place = f"{dataset}, {PROTOCOL_LABELS[protocol]}"
        return factorial_part(f"{dataset}-{protocol}", place, design, runs, here, self.titles)

    def _comparison(self, dataset: str, protocol: str, reference: str) -> Comparison | None:
        """None where the reference, or everything else, has no finished run."""
        tests = self.tests
        tests = tests[
            (tests["dataset"] == dataset) & (tests["protocol"] == protocol) & (tests["reference"] == reference)
        ]
        if tests.empty:
            return None
        runs, summary = self._of(dataset, protocol, self.runs), self._of(dataset, protocol, self.summary)
        methods = tests[tests["scope"] == "methods"]
        title, place = self.titles[reference], f"{dataset}, {PROTOCOL_LABELS[protocol]}"
        prefix, changes = f"{dataset}-{protocol}", differences(summary, reference)
        return Comparison(
            reference=title,
            differences=differences_block(
                f"{prefix}-minus-{reference}",
                f"Differences to {title} on {place}",
                methods,
                changes,
                self.titles,
                changed_inputs(summary, reference),
            ),
            design=design_block(
                f"{prefix}-design-{reference}",
                f"Against {title} on {place}: spread, power, equivalence, and these checkpoints",
                tests,
                changes,
                self.titles,
            ),
            plots=difference_plots(prefix, runs, methods, reference, self.subject),
            untested=str(methods["note"].iloc[0]) if (methods["finding"] == "n/a").all() else "",
        )

    def _recall_plots(self, dataset: str, protocol: str, trained: list[Trained]) -> list[Plot]:
        ranks: dict[str, list[RankPair]] = {}
        for run in trained:
            found = read_ranks(run.folder)
            pair = (found.i2t, found.t2i) if protocol == "full" else (found.i2t_fold, found.t2i_fold)
            ranks.setdefault(run.method, []).append(pair)
        return recall_plots(dataset, ranks, self.titles, self.subject)
