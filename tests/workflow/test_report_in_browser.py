"""The report of the smoke run in a real browser."""

from __future__ import annotations

from playwright.sync_api import Browser

from tests.support.browser import check_accessible, check_report, check_short, opened
from tests.workflow.conftest import Tree


def test_the_smoke_report_keeps_its_promises(browser: Browser, finished: Tree) -> None:
    check_report(browser, finished.root / "reports/smoke/index.html")


def test_the_smoke_report_is_short_and_its_result_comes_first(browser: Browser, finished: Tree) -> None:
    check_short(browser, finished.root / "reports/smoke/index.html")


def test_axe_finds_nothing_against_wcag_on_the_smoke_report(browser: Browser, finished: Tree) -> None:
    check_accessible(browser, finished.root / "reports/smoke/index.html")


def test_the_smoke_report_sorts_and_shows_drawn_pictures(browser: Browser, finished: Tree) -> None:
    with opened(browser, finished.root / "reports/smoke/index.html") as view:
        head = view.page.locator("table.sortable thead th", has_text="rSum").first
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == "descending"
        assert view.page.locator("svg.picture use").count() > 50
