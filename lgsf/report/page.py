"""The report of an experiment: one page that opens from disk, its Markdown twin, and each figure as a file.

Everything comes from the tables, their album (lgsf.gallery), and run.json, failure.json, log.jsonl and ranks.npz;
weights are never read. Nothing depends on when the page is made: equal inputs give equal bytes.

A new section is a module of lgsf.report.sections with a function `section`, and its place in one of the lists below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from lgsf.config.experiment import Experiment
from lgsf.render.flow import plots_of
from lgsf.render.numbers import moment
from lgsf.report.collected import Collected
from lgsf.report.downloads import copied, downloads, sweep
from lgsf.report.environment import environment
from lgsf.report.front import answers
from lgsf.report.front.finding import details, headline
from lgsf.report.origin import write_origin
from lgsf.report.section import Section
from lgsf.report.sections import (
    absent,
    cite,
    cost,
    files,
    gallery,
    glossary,
    learning,
    methods,
    provenance,
    transductive,
    validity,
    verdict,
)
from lgsf.report.sections.beyond import section as beyond
from lgsf.report.sections.results import differences, factorial, recall
from lgsf.report.sections.results import section as results
from lgsf.system.files import write_bytes
from lgsf.system.project.version import __version__

FIRST: tuple[Callable[[Collected, str], Section], ...] = (results.section,)  # the first screen, for each dataset
THEN: tuple[Callable[[Collected], Section], ...] = (answers.section, verdict.section)
OF_EACH_DATASET: tuple[Callable[[Collected, str], Section | None], ...] = (
    validity.section,
    differences.section,
    factorial.section,
    results.twins,
    recall.section,
    beyond.section,
    learning.section,
    cost.section,
    gallery.section,
    transductive.section,
    results.data,
)
LAST: tuple[Callable[[Collected], Section], ...] = (
    methods.section,
    absent.section,
    provenance.section,
    cite.section,
    files.section,
    glossary.section,
)
PAGE_LIMIT = 10_000_000  # bytes of index.html, so that it can be mailed and opened anywhere


@dataclass(frozen=True)
class Page:
    """All that the templates show.

    headline  what was found, in a sentence;  details  the numbers behind it;  made  of when and of what the page is
    """

    title: str
    headline: str
    details: list[str]
    sections: tuple[Section, ...]
    made: str
    version: str = __version__


def write_report(experiment: Experiment, *, results: Path, tables: Path, out: Path) -> Path:
    """Write `out/index.html`, `out/report.md`, `out/figures/*.svg` and `out/tables/`; returns the path of the page.

    Raises LgsfError where the tables are absent or of another experiment, or a run's files are broken.
    """
    found = Collected(experiment, results=results, tables=tables)
    page, html = report_page(found), environment(escape=True)
    files: dict[str, str | bytes] = {
        f"figures/{plot.id}.svg": html.get_template("figure.svg.j2").render(plot=plot)
        for section in page.sections
        for plot in plots_of(section.items)
    }
    files["report.md"] = environment(escape=False).get_template("report.md.j2").render(page=page)
    files["index.html"] = _within_limit(found, page, lambda page: html.get_template("page.html.j2").render(page=page))
    files |= downloads(page.sections) | copied(found, tables) | {cite.BIBTEX: cite.bibtex(found)}
    for name, content in files.items():
        write_bytes(out / name, content.encode() if isinstance(content, str) else content)
    sweep(out, files)
    write_origin(out, files, tables)
    return out / "index.html"


def report_page(found: Collected) -> Page:
    """The page with all its sections, in order."""
    experiment = found.experiment
    return Page(
        title=experiment.title or experiment.experiment,
        headline=headline(found),
        details=details(found),
        sections=tuple(_sections(found)),
        made=_made(found),
    )


def _sections(found: Collected) -> Iterator[Section]:
    datasets = found.experiment.datasets
    yield from (section(found, dataset) for dataset in datasets for section in FIRST)
    yield from (section(found) for section in THEN)
    for dataset in datasets:
        yield from filter(None, (section(found, dataset) for section in OF_EACH_DATASET))
    yield from (section(found) for section in LAST)


def _made(found: Collected) -> str:
    finished = found.runs[found.runs["status"] == "finished"]
    span = ""
    if len(finished):
        first, last = moment(str(finished["started"].min())), moment(str(finished["ended"].max()))
        span = f"Runs from {first} to {last} UTC. "
    return (
        f"{span}Made by lgsf-benchmark {__version__} from tables, album, run.json, log.jsonl and ranks.npz alone; the same "
        "files give this page again, byte for byte."
    )


def _within_limit(found: Collected, page: Page, render: Callable[[Page], str]) -> str:
    """The page; pictures of its galleries give way, the last ones first, until it is small enough."""
    text = render(page)
    size = len(text.encode())
    if size <= PAGE_LIMIT:
        return text
    galleries = {
        id_: data for id_, data in ((s.id, s.data) for s in page.sections) if isinstance(data, gallery.Gallery)
    }
    pictures = sum(data.view.bytes for data in galleries.values())
    # What stands in for a picture is text: leave some room for it.
    share = max(0, PAGE_LIMIT - (size - pictures) - PAGE_LIMIT // 20) // max(1, len(galleries))
    smaller = {id_: gallery.section(found, data.view.dataset, room=share) for id_, data in galleries.items()}
    return render(replace(page, sections=tuple(smaller.get(section.id) or section for section in page.sections)))
