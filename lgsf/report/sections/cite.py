"""What to cite."""

from __future__ import annotations

from dataclasses import dataclass

from lgsf.report.collected import Collected
from lgsf.report.section import Section
from lgsf.system.project.version import __version__
from lgsf.verdict.claim import PAPERS, Paper

INTRODUCTION = "Cite the article whose claim is examined, and this benchmark with the commit that produced the numbers."


BIBTEX = "downloads/cite.bib"


@dataclass(frozen=True)
class Cite:
    """What the section's own template shows: papers, and the version and commits of this benchmark."""

    commits: list[str]
    papers: tuple[Paper, ...] = PAPERS
    version: str = __version__
    introduction: str = INTRODUCTION
    bibtex: str = ""
    file: str = BIBTEX
    entry: str = "CITATION.cff in its repository has the entry."


def section(found: Collected) -> Section:
    finished = found.runs[found.runs["status"] == "finished"]
    commits = sorted({str(commit) for commit in finished["git_commit"].dropna()})
    data = Cite(commits, bibtex=bibtex(found))
    return Section("cite", "How to cite", nav="Cite", template="cite", data=data)


def bibtex(found: Collected) -> str:
    """The papers and this benchmark as BibTeX entries."""
    benchmark = f"@software{{lgsf-benchmark,\n  title = {{LGSF benchmark}},\n  version = {{{__version__}}}\n}}\n"
    return "\n".join([*(paper.bibtex for paper in PAPERS), benchmark])
