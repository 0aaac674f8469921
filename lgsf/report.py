"""The report of an experiment: one page that opens from disk, its Markdown twin, and each figure as a file.

Everything comes from the tables and from run.json, failure.json, log.jsonl and ranks.npz; weights are never
read. Nothing depends on when the page is made: equal inputs give equal bytes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

import lgsf
from lgsf import blocks, figures
from lgsf.blocks import Block
from lgsf.cards import method_cards
from lgsf.claim import PAPERS, first_screen, subject_of
from lgsf.experiment import Experiment
from lgsf.figures import Trained
from lgsf.files import write_text
from lgsf.formatting import PROTOCOL_LABELS, RULE, moment
from lgsf.plots import Plot
from lgsf.results import RunFacts, read_facts, read_log, read_ranks
from lgsf.tables import differences, read_runs, summarise
from lgsf.tabletext import markdown_text


@dataclass(frozen=True)
class Comparison:
    """All methods against one of them."""

    reference: str
    differences: Block
    plots: list[Plot]


@dataclass(frozen=True)
class Protocol:
    """Results of one dataset under one protocol."""

    label: str
    results: Block
    score_plots: list[Plot]
    comparisons: list[Comparison]


@dataclass(frozen=True)
class DatasetPart:
    """Everything that the page shows of one dataset."""

    name: str
    data: Block | None
    protocols: list[Protocol]
    twins: Block | None
    recall_plots: list[Plot]
    learning_plots: list[Plot]
    term_plots: dict[str, list[Plot]]
    cost: Block
    cost_plots: list[Plot]
    every_run: Block


def write_report(experiment: Experiment, *, results: Path, tables: Path, out: Path) -> Path:
    """Write `out/index.html`, `out/report.md` and `out/figures/*.svg`; returns the path of the page.

    Raises LgsfError where the tables are absent or of another experiment, or a run's files are broken.
    """
    context = report_context(experiment, results=results, tables=tables)
    environment = _environment(escape=True)
    write_text(out / "index.html", environment.get_template("page.html.j2").render(context))
    write_text(out / "report.md", _environment(escape=False).get_template("report.md.j2").render(context))
    names = set()
    for plot in _all_plots(context["parts"]):
        write_text(out / "figures" / f"{plot.id}.svg", environment.get_template("figure.svg.j2").render(plot=plot))
        names.add(f"{plot.id}.svg")
    for old in (out / "figures").glob("*.svg"):
        if old.name not in names:
            old.unlink()
    return out / "index.html"


def report_context(experiment: Experiment, *, results: Path, tables: Path) -> dict[str, Any]:
    """All that the templates show, as plain objects."""
    runs = read_runs(experiment, tables)
    summary = summarise(runs)
    records = _records(experiment, results, runs)
    data: dict[str, dict[str, Any]] = {}
    for facts in records.values():
        data.setdefault(facts.dataset, facts.data)
    subject = subject_of(experiment)
    finished = runs[runs["status"] == "finished"]
    titles = {method.name: method.title for method in experiment.methods}
    return {
        "experiment": experiment,
        "title": experiment.title or experiment.experiment,
        "reference": titles.get(experiment.reference, experiment.reference),
        "reference_runs": experiment.reference in titles,
        "subject": titles[subject],
        "first": first_screen(experiment, runs, summary, data),
        "parts": [
            _dataset_part(experiment, n, runs, summary, records, results, data.get(n, {})) for n in experiment.datasets
        ],
        "absent": blocks.absent_block("absent", "Runs without a result", runs),
        "cards": method_cards(records.values(), subject=subject),
        "checksums": blocks.checksum_block("checksums", "Checksums of every finished run", runs),
        "provenance": blocks.provenance_block("provenance-runs", "When and where every finished run was trained", runs),
        "packages": blocks.package_sentences(_environments(records)),
        "papers": PAPERS,
        "version": lgsf.__version__,
        "commits": sorted({str(commit) for commit in finished["git_commit"].dropna()}),
        "span": (moment(str(finished["started"].min())), moment(str(finished["ended"].max())))
        if len(finished)
        else None,
        "rule": RULE,
    }


def _records(experiment: Experiment, results: Path, runs: pd.DataFrame) -> dict[str, RunFacts]:
    """Folder of every finished run -> its record, in the order of the tables."""
    rows = runs[runs["status"] == "finished"]
    finished = set(zip(rows["dataset"], rows["method"], rows["seed"], strict=True))
    return {
        run.folder: read_facts(results / run.folder)
        for run in experiment.expected()
        if (run.dataset, run.method, run.seed) in finished
    }


def _dataset_part(
    experiment: Experiment,
    name: str,
    all_runs: pd.DataFrame,
    all_summary: pd.DataFrame,
    records: Mapping[str, RunFacts],
    results: Path,
    data: Mapping[str, Any],
) -> DatasetPart:
    runs, summary = all_runs[all_runs["dataset"] == name], all_summary[all_summary["dataset"] == name]
    subject = subject_of(experiment)
    first = runs["protocol"].iloc[0]
    primary, primary_summary = runs[runs["protocol"] == first], summary[summary["protocol"] == first]
    trained = _trained(experiment, name, records, results)
    ranks: dict[str, list[Any]] = {}
    for run in trained:
        found = read_ranks(run.folder)
        pair = (found.i2t, found.t2i) if first == "full" else (found.i2t_fold, found.t2i_fold)
        ranks.setdefault(run.method, []).append(pair)
    has_twins = any(str(metric).startswith("twin_") for metric in summary["metric"])
    return DatasetPart(
        name=name,
        data=blocks.data_block(f"{name}-data", f"What {name} holds", data["splits"]) if data else None,
        protocols=[_protocol(experiment, name, str(p), runs, summary) for p in dict.fromkeys(runs["protocol"])],
        twins=blocks.results_block(f"{name}-twins", f"Twin accuracy on {name}, percent", primary_summary, twins=True)
        if has_twins
        else None,
        recall_plots=figures.recall_plots(name, ranks, {run.method: run.title for run in trained}, subject),
        learning_plots=figures.learning_plots(name, trained),
        term_plots=figures.term_plots(name, trained),
        cost=blocks.cost_block(f"{name}-cost", f"What training on {name} cost, mean over seeds", primary),
        cost_plots=figures.cost_plots(name, primary, subject),
        every_run=blocks.every_run_block(f"{name}-runs", f"Every run on {name}", primary),
    )


def _protocol(experiment: Experiment, name: str, protocol: str, runs: pd.DataFrame, summary: pd.DataFrame) -> Protocol:
    own_runs, own = runs[runs["protocol"] == protocol], summary[summary["protocol"] == protocol]
    subject, label, prefix = subject_of(experiment), PROTOCOL_LABELS[protocol], f"{name}-{protocol}"
    comparisons = []
    for reference in experiment.references:
        changes = differences(own, reference)
        if not changes.empty:
            title = own.loc[own["method"] == reference, "title"].iloc[0]
            caption = f"Differences to {title} on {name}, {label}"
            block = blocks.differences_block(f"{prefix}-minus-{reference}", caption, changes)
            plots = figures.difference_plots(prefix, own_runs, reference, subject)
            comparisons.append(Comparison(title, block, plots))
    return Protocol(
        label=label,
        results=blocks.results_block(f"{prefix}-results", f"Retrieval on {name}, {label}: mean ± SD over seeds", own),
        score_plots=figures.score_plots(prefix, own_runs, subject),
        comparisons=comparisons,
    )


def _trained(experiment: Experiment, dataset: str, records: Mapping[str, RunFacts], results: Path) -> list[Trained]:
    """Finished runs of one dataset that were no controls, with their logs."""
    return [
        Trained(
            run.method, run.title, run.seed, results / run.folder, records[run.folder], read_log(results / run.folder)
        )
        for run in experiment.expected()
        if run.dataset == dataset and run.folder in records and not run.is_control
    ]


def _environments(records: Mapping[str, RunFacts]) -> dict[tuple[tuple[str, str], ...], list[str]]:
    """Distinct sets of versions -> the runs that used them."""
    found: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for folder, facts in records.items():
        versions = (("Python", facts.python), *sorted(facts.packages.items()))
        found.setdefault(versions, []).append(folder)
    return found


def _all_plots(parts: list[DatasetPart]) -> list[Plot]:
    plots = []
    for part in parts:
        for protocol in part.protocols:
            plots += [*protocol.score_plots, *(plot for c in protocol.comparisons for plot in c.plots)]
        plots += [*part.recall_plots, *part.learning_plots, *part.cost_plots]
        plots += [plot for group in part.term_plots.values() for plot in group]
    return plots


def _environment(*, escape: bool) -> jinja2.Environment:
    """Templates that refuse unknown names; HTML and SVG escape every value, Markdown does so by its filter."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lgsf", "templates"),
        autoescape=escape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["md"] = markdown_text
    assert environment.loader is not None
    script = environment.loader.get_source(environment, "page.js")[0]
    environment.globals["style"] = Markup(environment.loader.get_source(environment, "page.css")[0])
    environment.globals["script"] = Markup(script)
    # The page's own script is the only one that a browser may run, whatever a title or caption holds.
    environment.globals["script_hash"] = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment
