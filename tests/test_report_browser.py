"""The page in a real browser: nothing is fetched, nothing overflows a phone, tables sort from the keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lgsf.report import write_report
from lgsf.tables import write_tables
from tests import chromium, synthetic


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("browser")
    methods = [{"name": n, "title": t} for n, t, *_ in synthetic.METHODS]
    methods[1]["title"] = (
        "<script>document.title='broken'</script> 局部语义 and a name that is far too long for a phone"
    )
    experiment = synthetic.experiment(methods=methods)
    results = synthetic.write_results(root / "results")
    write_tables(experiment, results=results, out=root / "tables")
    return write_report(experiment, results=results, tables=root / "tables", out=root / "report")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Page]:
    executable = chromium.find()
    if executable is None:
        pytest.skip("no Chromium on this machine; on Debian: apt-get install chromium")
    with chromium.page(executable, tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [380, 1280])
def test_no_request_no_error_no_sideways_scrolling(page: chromium.Page, report: Path, width: int, dark: bool) -> None:
    page.open(report, width=width, dark=dark)
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.requests() == [report.as_uri()]
    assert page.errors() == []
    assert page.evaluate("document.title") == "Synthetic experiment"


def test_the_policy_stops_foreign_scripts(page: chromium.Page, report: Path, tmp_path: Path) -> None:
    planted = tmp_path / "planted.html"
    planted.write_text(report.read_text().replace("</body>", "<script>document.title = 'planted'</script></body>"))
    page.open(planted, width=800)
    assert page.evaluate("document.title") == "Synthetic experiment"
    assert any("Content Security Policy" in error for error in page.errors())


def test_dark_follows_the_reader(page: chromium.Page, report: Path) -> None:
    colours = []
    for dark in (False, True):
        page.open(report, width=800, dark=dark)
        colours.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert colours == ["rgb(253, 253, 251)", "rgb(21, 22, 25)"]


def test_tables_sort_from_the_keyboard_and_back(page: chromium.Page, report: Path) -> None:
    page.open(report, width=1280)
    names = (
        "Array.from(document.querySelectorAll('table.sortable')[0].tBodies[0].rows, (r) => r.cells[0].innerText.trim())"
    )
    numbers = "Array.from(document.querySelectorAll('table.sortable')[0].tBodies[0].rows, (r) => Number(r.cells[8].dataset.sort))"
    head = "document.querySelectorAll('table.sortable')[0].tHead.rows[0].cells[8]"
    original = page.evaluate(names)
    page.evaluate(f"{head}.querySelector('button').focus()")
    page.press("Enter", 13)
    assert page.evaluate(f"{head}.getAttribute('aria-sort')") == "descending"
    values = page.evaluate(numbers)
    assert values == sorted(values, reverse=True)
    assert values[0] == 600
    page.press("Enter", 13)
    assert page.evaluate(f"{head}.getAttribute('aria-sort')") == "ascending"
    assert page.evaluate(numbers) == sorted(values)
    page.press("Enter", 13)
    assert page.evaluate(f"{head}.getAttribute('aria-sort')") is None
    assert page.evaluate(names) == original


def test_the_page_is_whole_without_scripts(page: chromium.Page, report: Path) -> None:
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.open(report, width=800)
        document = page.call("DOM.getDocument")["root"]["nodeId"]
        rows = page.call("DOM.querySelectorAll", nodeId=document, selector="table tbody tr")["nodeIds"]
        buttons = page.call("DOM.querySelectorAll", nodeId=document, selector="button")["nodeIds"]
    finally:
        page.call("Emulation.setScriptExecutionDisabled", value=False)
    assert len(rows) > 30
    assert buttons == []


def test_every_picture_has_a_name_for_screen_readers(page: chromium.Page, report: Path) -> None:
    page.open(report, width=800)
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    images = [n for n in nodes if n.get("role", {}).get("value") in ("image", "img") and not n.get("ignored")]
    assert len(images) > 10
    assert all(len(n["name"]["value"]) > 20 for n in images)
