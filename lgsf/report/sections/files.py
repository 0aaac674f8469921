"""Where every table and figure of the page lies as a file."""

from __future__ import annotations

from lgsf.render.flow import Item, Paragraph
from lgsf.report.collected import Collected
from lgsf.report.section import Section

WORDS = (
    "Under every table: its numbers in full as CSV, Parquet and LaTeX (folder downloads beside this page), or to copy as "
    "Markdown. Beside every figure: SVG, which a browser prints as PDF."
)
RAW = "The tables behind them lie there too: runs, summary, differences, comparisons (every test), beyond, verdicts, claims."


def section(found: Collected) -> Section:
    items: tuple[Item, ...] = (Paragraph(WORDS, page_only=True), Paragraph(RAW))
    return Section("files", "Downloads", nav="Downloads", items=items)
