"""The report of an experiment: one page that opens from disk, its Markdown twin, and each figure as a file.

Everything comes from the tables, their album (lgsf.gallery), and run.json, failure.json, log.jsonl and ranks.npz;
weights are never read. Nothing depends on when the page is made: equal inputs give equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from lgsf.config.experiment import Experiment
from lgsf.gallery.album import read_album
from lgsf.gallery.show import gallery_view
from lgsf.render.numbers import LOOKS, RULE, moment
from lgsf.report.dataset import Collected
from lgsf.report.environment import environment
from lgsf.report.first_screen import first_screen
from lgsf.report.origin import write_origin
from lgsf.report.sections.methods import method_cards
from lgsf.report.sections.runs import absent_block, checksum_block, package_sentences, provenance_block
from lgsf.runs.facts import RunFacts
from lgsf.system.files import write_text
from lgsf.system.version import __version__
from lgsf.verdict import section as verdict_section
from lgsf.verdict.claim import PAPERS
from lgsf.verdict.files import read_verdicts
from lgsf.verdict.section import verdict_parts

PAGE_LIMIT = 10_000_000  # bytes of index.html, so that it can be mailed and opened anywhere


def write_report(experiment: Experiment, *, results: Path, tables: Path, out: Path) -> Path:
    """Write `out/index.html`, `out/report.md` and `out/figures/*.svg`; returns the path of the page.

    Raises LgsfError where the tables are absent or of another experiment, or a run's files are broken.
    """
    context = report_context(experiment, results=results, tables=tables)
    page, markdown = environment(escape=True), environment(escape=False)
    files = {
        f"figures/{plot.id}.svg": page.get_template("figure.svg.j2").render(plot=plot)
        for part in context["parts"]
        for plot in part.plots()
    }
    files["report.md"] = markdown.get_template("report.md.j2").render(context)
    files["index.html"] = _page(page.get_template("page.html.j2"), context)
    for name, text in files.items():
        write_text(out / name, text)
    for old in (out / "figures").glob("*.svg"):
        if f"figures/{old.name}" not in files:
            old.unlink()
    write_origin(out, files, tables)
    return out / "index.html"


def _page(template: jinja2.Template, context: dict[str, Any]) -> str:
    """The page; pictures of its galleries give way, the last ones first, until it is small enough."""
    text = template.render(context)
    size = len(text.encode())
    if size <= PAGE_LIMIT:
        return text
    galleries = context["galleries"]
    pictures = sum(view.bytes for view in galleries.values())
    # What stands in for a picture is text: leave some room for it.
    share = max(0, PAGE_LIMIT - (size - pictures) - PAGE_LIMIT // 20) // max(1, len(galleries))
    smaller = {name: gallery_view(context["albums"][name], room=share) for name in galleries}
    return template.render({**context, "galleries": smaller})


def report_context(experiment: Experiment, *, results: Path, tables: Path) -> dict[str, Any]:
    """All that the templates show, as plain objects."""
    found = Collected(experiment, results=results, tables=tables)
    runs = found.runs
    verdicts, claims = read_verdicts(tables)
    finished = runs[runs["status"] == "finished"]
    span = None
    if len(finished):
        span = (moment(str(finished["started"].min())), moment(str(finished["ended"].max())))
    found_albums = {
        dataset: read_album(tables / "album" / f"{dataset}.json", found.ranks()) for dataset in experiment.datasets
    }
    albums = {dataset: album for dataset, album in found_albums.items() if album is not None}
    return {
        "albums": albums,
        "galleries": {dataset: gallery_view(album) for dataset, album in albums.items()},
        "title": experiment.title or experiment.experiment,
        "first": first_screen(
            experiment,
            runs=runs,
            summary=found.summary,
            tests=found.tests,
            verdicts=verdicts,
            claims=claims,
            data=found.data,
        ),
        "verdict_parts": verdict_parts(experiment, runs, verdicts, claims),
        "verdict_rule": verdict_section.RULE,
        "readings": verdict_section.READINGS,
        "reference": found.titles.get(experiment.reference, experiment.reference),
        "reference_runs": experiment.reference in found.titles,
        "subject": found.titles[found.subject],
        "parts": [found.part(dataset) for dataset in experiment.datasets],
        "rule": RULE,
        "looks": LOOKS,
        "absent": absent_block("absent", "Runs without a result", runs),
        "cards": method_cards(found.records.values(), experiment.methods, subject=found.subject),
        "papers": PAPERS,
        "version": __version__,
        "commits": sorted({str(commit) for commit in finished["git_commit"].dropna()}),
        "packages": package_sentences(_environments(found.records)),
        "provenance": provenance_block("provenance-runs", "When and where every finished run was trained", runs),
        "checksums": checksum_block("checksums", "Checksums of every finished run", runs),
        "span": span,
    }


def _environments(records: Mapping[str, RunFacts]) -> dict[tuple[tuple[str, str], ...], list[str]]:
    """Distinct sets of versions -> the runs that used them."""
    found: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for folder, facts in records.items():
        versions = (("Python", facts.python), *sorted(facts.packages.items()))
        found.setdefault(versions, []).append(folder)
    return found
