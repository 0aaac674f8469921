"""The page in a real browser: nothing is fetched, nothing overflows a phone, keyboards reach everything."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from lgsf.gallery.collect import write_albums
from lgsf.report.page import write_report
from tests.support import material, synthetic
from tests.support.browser import (
    CONTRAST,
    FOCUSABLE,
    NAMELESS,
    WIDE,
    check_accessible,
    check_report,
    check_short,
    opened,
    violations,
    words_open,
)

pytestmark = pytest.mark.seconds


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with a gallery, hostile captions, and a name that is too long for any column."""
    root = tmp_path_factory.mktemp("browser")
    methods = [{"name": n, "title": t} for n, t, *_ in synthetic.METHODS]
    methods[1]["title"] = (
        "<script>document.title='broken'</script> 局部语义 and a name that is far too long for a phone"
    )
    experiment = synthetic.experiment(methods=methods)
    material.write_dataset(root / "resources/toy")
    material.write_photos(root / "photos")
    results = material.write_runs(root / "results", root / "resources/toy")
    synthetic.write_tables_and_verdicts(experiment, results=results, out=root / "tables")
    photos = {"toy": str(root / "photos")}
    write_albums(experiment, results=results, resources=root / "resources", photos=photos, out=root / "tables/album")
    return write_report(experiment, results=results, tables=root / "tables", out=root / "report")


def test_keeps_its_promises_on_phone_desk_and_paper(browser: Browser, report: Path) -> None:
    check_report(browser, report)


def test_the_result_comes_first_and_the_page_is_short(browser: Browser, report: Path) -> None:
    check_short(browser, report)


def test_axe_finds_nothing_against_wcag(browser: Browser, report: Path) -> None:
    check_accessible(browser, report)


def test_a_term_leads_to_its_meaning_in_a_fold(browser: Browser, report: Path) -> None:
    with opened(browser, report) as view:
        term = view.page.locator("a.term").first
        assert len(term.get_attribute("title") or "") > 20
        term.click()
        assert view.run("document.getElementById(location.hash.slice(1)).checkVisibility()")


def test_a_table_is_copied_as_markdown_and_latex(browser: Browser, report: Path) -> None:
    with opened(browser, report) as view:
        view.unfold()
        view.run("(navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }) && 0")
        get = view.page.locator(".block:has(#toy-full-results) .get")
        get.get_by_role("button", name="Copy as Markdown").click()
        lines = view.run("window.copied").splitlines()
        assert len({line.count("|") - line.count("\\|") for line in lines}) == 1
        assert any(line.startswith("| VSE++ (reference) |") for line in lines)
        get.get_by_role("button", name="Copy as LaTeX").click()
        latex = view.run("window.copied")
        assert latex.startswith("\\begin{tabular}{") and latex.count("\\textbf{") >= 7 and "±" not in latex


def test_rows_are_cards_on_a_phone_with_the_key_metrics_first(browser: Browser, report: Path) -> None:
    with opened(browser, report, width=380) as view:
        row = "[...document.querySelectorAll('.block:has(#toy-full-results) tbody tr:not(.group)')][0]"
        place = f"(label) => {row}.querySelector(`[data-label='${{label}}']`).getBoundingClientRect().top"
        assert view.run(f"({place})('rSum')") < view.run(f"({place})('i2t R@5')")
        assert view.run(f"getComputedStyle({row}).display") == "grid"


def test_every_file_that_the_page_offers_is_there(browser: Browser, report: Path) -> None:
    with opened(browser, report) as view:
        names = view.run("[...document.querySelectorAll('a[download]')].map((a) => a.getAttribute('href'))")
    assert len(names) > 40
    assert {name.rpartition(".")[2] for name in names} == {"svg", "csv", "parquet", "tex", "bib"}
    assert [name for name in names if not (report.parent / name).is_file()] == []


def test_hostile_titles_and_captions_do_nothing_and_dark_follows_the_reader(browser: Browser, report: Path) -> None:
    with opened(browser, report, dark=True) as view:
        assert view.run("getComputedStyle(document.body).backgroundColor") == "rgb(21, 22, 25)"
        view.page.emulate_media(color_scheme="light")
        assert view.run("getComputedStyle(document.body).backgroundColor") == "rgb(253, 253, 251)"
        view.unfold()
        assert view.page.title() == "Synthetic experiment"
        assert view.page.get_by_text("<script>alert('caption')</script>").count() > 20


def test_the_policy_stops_foreign_scripts(browser: Browser, report: Path, tmp_path: Path) -> None:
    planted = tmp_path / "planted.html"
    planted.write_text(report.read_text().replace("</body>", "<script>document.title = 'planted'</script></body>"))
    with opened(browser, planted) as view:
        assert view.page.title() == "Synthetic experiment"
        assert any("Content Security Policy" in error for error in view.errors)


def test_tables_sort_from_the_keyboard_and_back(browser: Browser, report: Path) -> None:
    with opened(browser, report) as view:
        table = view.page.locator("table.sortable[aria-labelledby=toy-full-results]")
        head = table.locator("thead th", has_text="rSum").first
        column = head.evaluate("(cell) => cell.cellIndex")
        rows = "(table) => [...table.rows].map((r) => r.cells[0].innerText.trim())"
        numbers = f"(table) => [...table.tBodies[0].rows].map((r) => Number(r.cells[{column}].dataset.sort))"
        original = table.evaluate(rows)
        head.get_by_role("button").focus()
        view.page.keyboard.press("Enter")
        assert head.get_attribute("aria-sort") == "descending"
        values = table.evaluate(numbers)
        assert values == sorted(values, reverse=True)
        assert len(values) == 4 and values[0] < 600  # all groups in one order, and the controls below it
        assert table.evaluate("(table) => table.tBodies[table.tBodies.length - 1].innerText").startswith("Controls")
        view.page.keyboard.press("Enter")
        assert head.get_attribute("aria-sort") == "ascending"
        assert table.evaluate(numbers) == sorted(values)
        view.page.keyboard.press("Enter")
        assert head.get_attribute("aria-sort") is None
        assert table.evaluate(rows) == original


def test_tab_goes_through_everything_in_reading_order(browser: Browser, report: Path) -> None:
    watch = """(focusable) => {
      const stops = [...document.querySelectorAll(focusable)].filter((e) => e.checkVisibility());
      window.reached = [];
      document.addEventListener("focusin", ({ target }) => window.reached.push([
        stops.indexOf(target),
        target.className === "skip" ? "skip" : target.closest("nav") ? "nav" : target.closest("thead") ? "header" : target.tagName,
        getComputedStyle(target).outlineStyle !== "none",
      ]));
      return stops.length;
    }"""
    with opened(browser, report) as view:
        stops = view.page.evaluate(watch, FOCUSABLE)
        for _ in range(stops):
            view.page.keyboard.press("Tab")
        reached = view.run("window.reached")
    assert [stop for stop, _, _ in reached] == list(range(stops))
    assert all(outlined for _, _, outlined in reached)
    kinds = [kind for _, kind, _ in reached]
    assert kinds[:2] == ["skip", "nav"]
    assert {"header", "SUMMARY"} <= set(kinds)


def test_the_page_is_whole_without_scripts(browser: Browser, report: Path) -> None:
    with opened(browser, report, scripts=False) as view:
        assert view.page.locator("table tbody tr").count() > 30
        assert view.page.locator("button").count() == 0
        assert view.page.locator("article.question").count() == 8


def test_the_skip_link_works_and_pictures_are_painted(browser: Browser, report: Path) -> None:
    with opened(browser, report) as view:
        view.page.keyboard.press("Tab")
        view.page.keyboard.press("Enter")
        view.page.wait_for_url("**#content")  # the browser says it a moment later
        top = view.run("document.getElementById('content').getBoundingClientRect().top")
        assert 0 <= top < 70  # below the contents, which stay in sight
        shown = view.page.locator("article.question svg.picture").first
        shown.scroll_into_view_if_needed()
        box = shown.bounding_box()
        assert box is not None and box["width"] > 200 and abs(box["width"] / box["height"] - 4 / 3) < 0.02
        before = shown.screenshot()
        view.run("document.querySelectorAll('image').forEach((i) => i.remove())")
        assert shown.screenshot() != before


def test_the_checks_can_fail(browser: Browser, report: Path) -> None:
    with opened(browser, report, width=380) as view:
        view.run(
            "document.querySelector('main').insertAdjacentHTML('afterbegin',"
            ' \'<p id=pale style="color: rgb(150, 150, 150)">pale words</p><svg></svg><p style="width: 500px">wide</p>\')'
        )
        assert view.too_wide()
        assert [text.split(": ")[1] for text in view.run(CONTRAST)["low"]] == ["pale words"]
        assert len(view.run(NAMELESS)["bad"]) == 1
        assert any(found.startswith("color-contrast") for found in violations(view, within="main > p"))
        before = words_open(view)
        view.run("document.querySelector('main').append(' and four more words')")
        assert words_open(view) == before + 4
        view.run("document.querySelector('.scroll table').style.width = '3000px'")
        assert any(found.startswith("toy-full-results: 3000 in") for found in view.run(WIDE))
