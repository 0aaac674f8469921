"""Sections: what they say stands in the page and in its Markdown twin, and a new one is a function and a place."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import lgsf.report.page as report
from lgsf.render.block import Block, Cell, numbers, table_block, words
from lgsf.render.flow import Details, Figures, Heading, Item, Paragraph
from lgsf.render.markdown import markdown_text
from lgsf.render.plots import DotRow, dot_plot
from lgsf.render.twin import flow_text
from lgsf.report.collected import Collected
from lgsf.report.section import Section
from tests.support import synthetic


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A factorial is left out, everything else of the synthetic runs is there, under two protocols."""
    root = tmp_path_factory.mktemp("sections")
    results = synthetic.write_results(root / "results", folds=3)
    synthetic.mark_tuned(results, "lgsf", 96)
    synthetic.write_tables_and_verdicts(synthetic.experiment(), results=results, out=root / "tables")
    return root


def write(root: Path, out: Path) -> tuple[str, str]:
    """The page, unescaped, and its Markdown twin."""
    report.write_report(synthetic.experiment(), results=root / "results", tables=root / "tables", out=out)
    page = (out / "index.html").read_text(encoding="utf-8")
    page = html.unescape(re.sub(r'<a class="term"[^>]*>(.*?)</a>', r"\1", page))
    return page, (out / "report.md").read_text(encoding="utf-8")


def flat(items: Iterable[Item]) -> Iterator[Item]:
    for item in items:
        yield item
        if isinstance(item, Details):
            yield from flat(item.items)


def test_page_and_twin_say_the_same(root: Path, tmp_path: Path) -> None:
    page, markdown = write(root, tmp_path)
    found = Collected(synthetic.experiment(), results=root / "results", tables=root / "tables")
    sections = report.report_page(found).sections
    assert [section.id for section in sections] == [
        *("toy", "answers", "claim", "toy-differences", "toy-twins-section", "toy-recall-section", "toy-beyond"),
        *(
            "toy-learning",
            "toy-costs",
            "toy-data-section",
            "methods",
            "runs",
            "provenance",
            "cite",
            "files",
            "glossary",
        ),
    ]
    said = 0
    for section in sections:
        assert f'<h2 id="{section.id}">{section.title}</h2>' in page
        assert f"\n## {markdown_text(section.title)}\n" in markdown
        assert f'<a href="#{section.id}">{section.nav}</a>' in page
        for item in flat(section.items):
            if isinstance(item, Paragraph):
                assert f">{item.whole}</p>" in page
                assert (f"\n{markdown_text(item.text)}\n" in markdown) != item.page_only
                said += not item.page_only
            elif isinstance(item, Heading):
                assert (f"\n### {markdown_text(item.text)}\n" in markdown) != item.page_only
            elif isinstance(item, Block):
                assert f'id="{item.id}"' in page and f"\n{markdown_text(item.caption)}\n" in markdown
            elif isinstance(item, Figures):
                assert all((tmp_path / f"figures/{plot.id}.svg").is_file() for plot in item.plots)
                assert all((f"figures/{plot.id}.svg" in markdown) == item.listed for plot in item.plots)
    assert said > 10


def test_a_new_section_is_a_function_and_a_place(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plot = dot_plot("weather-sun", "Sun, hours", [DotRow("Monday", [7.0], 7.0, 7.0, 7.0)], description="Monday had 7.")
    block = table_block("weather-table", "The week", [*words("day"), *numbers("hours")], [[Cell("Mon|day"), Cell("7")]])

    def section(found: Collected) -> Section:
        items = (
            Paragraph(f"No model of {found.experiment.experiment} saw <this>."),
            Figures((plot,), listed=True),
            block,
        )
        return Section("weather", "The weather", nav="Weather", items=items)

    monkeypatch.setattr(report, "LAST", (*report.LAST, section))
    page, markdown = write(root, tmp_path)
    assert page.index('<h2 id="provenance">') < page.index('<h2 id="weather">The weather</h2>')
    assert '<li><a href="#weather">Weather</a></li>' in page
    assert "<p>No model of synthetic saw <this>.</p>" in page  # the page is unescaped here
    assert "<this>" not in (tmp_path / "index.html").read_text(encoding="utf-8")
    end = markdown[markdown.index("## The weather") :]
    assert end == (
        "## The weather\n\nNo model of synthetic saw &lt;this&gt;.\n\n"
        "- [Sun, hours](figures/weather-sun.svg): Monday had 7.\n\n"
        "The week\n\n| day | hours |\n|---|---:|\n| Mon\\|day | 7 |\n\n"
    )
    assert (tmp_path / "figures/weather-sun.svg").is_file()


def test_what_is_for_the_page_alone_leaves_the_twin() -> None:
    items = [
        Heading("Seen", page_only=True),
        Paragraph("Dots are seeds.", page_only=True),
        Paragraph("p is corrected.", before="Bars are intervals.", after="Bold is best."),
        Paragraph("Not comparable.", css="stamp"),
        Details("Folded", (Paragraph("Inside."),)),
    ]
    assert flow_text(items) == "p is corrected.\n\n**Not comparable.**\n\nInside.\n\n"


def test_templates_of_sections_have_both_forms_and_no_sentence(repository: Path) -> None:
    folder = repository / "lgsf/report/templates/sections"
    names = {path.name.partition(".")[0] for path in folder.iterdir()}
    assert {path.name for path in folder.iterdir()} == {
        f"{name}.{form}.j2" for name in names for form in ("html", "md")
    }
    for path in folder.iterdir():
        text = re.sub(
            r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|<[^>]*>", " ", path.read_text(encoding="utf-8"), flags=re.DOTALL
        )
        assert not re.search(r"(\w+\s+){6,}\w+\.", text), path


def test_a_row_that_lacks_a_cell_is_an_error() -> None:
    with pytest.raises(ValueError, match="t: 1 cells under 2 heads"):
        table_block("t", "", words("a", "b"), [[Cell("1")]])
