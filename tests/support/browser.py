"""The installed Chromium through Playwright: open a report, note what it asks for, and judge what it looks like."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-default-apps"),
)
FOCUSABLE = "a[href], button, summary, [tabindex='0']"

# Every visible text whose contrast with what lies behind it is below WCAG 2.2 AA; `total` counts all texts.
CONTRAST = """() => {
  const parse = (text) => {
    const part = text.match(/rgba?\\(([^)]*)\\)/)[1].split(/[,\\s/]+/).map(Number);
    return { rgb: part.slice(0, 3), alpha: part.length > 3 ? part[3] : 1 };
  };
  const over = (top, alpha, below) => top.map((value, k) => alpha * value + (1 - alpha) * below[k]);
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.push(parse(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((below, layer) => over(layer.rgb, layer.alpha, below), [255, 255, 255]);
  };
  const seen = { total: 0, low: [] };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || !element.checkVisibility() || element.closest("script, style, desc, title")) continue;
    const style = getComputedStyle(element);
    const paint = parse(element instanceof SVGElement ? style.fill : style.color);
    let opacity = 1;
    for (let e = element; e; e = e.parentElement) opacity *= Number(getComputedStyle(e).opacity);
    const paper = behind(element);
    const [one, two] = [luminance(over(paint.rgb, paint.alpha * opacity, paper)), luminance(paper)];
    const ratio = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
    const size = parseFloat(style.fontSize), bold = Number(style.fontWeight) >= 700;
    seen.total += 1;
    if (ratio < (size >= 24 || (bold && size >= 18.66) ? 3 : 4.5)) seen.low.push(`${ratio.toFixed(2)}: ${text}`);
  }
  return seen;
}"""

# Pictures without words for those who do not see them; `total` counts all pictures that are not hidden.
NAMELESS = """() => {
  const pictures = [...document.querySelectorAll("img, svg")].filter((p) => !p.closest("[aria-hidden=true]"));
  const name = (p) => p.tagName === "IMG" ? p.alt : p.getAttribute("aria-label") ??
    (p.getAttribute("aria-labelledby") ?? "").split(" ").map((id) => document.getElementById(id)?.textContent).join(" ");
  const bad = pictures.filter((p) => name(p).trim().length < 10 || (p.tagName !== "IMG" && p.getAttribute("role") !== "img"));
  return { total: pictures.length, bad: bad.map((p) => p.outerHTML.slice(0, 200)) };
}"""


def find() -> str | None:
    """Path of a Chromium, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextmanager
def launch(executable: str) -> Iterator[Browser]:
    """A headless browser that ends with the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Opened:
    """A page with what it asked for and complained about since it began to load."""

    page: Page
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression or function in the page."""
        return self.page.evaluate(script)

    def unfold(self) -> None:
        """Open every <details>."""
        self.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")

    def too_wide(self) -> bool:
        """Whether the page scrolls sideways."""
        return bool(self.run("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


@contextmanager
def opened(
    browser: Browser, path: Path, *, width: int = 1280, dark: bool = False, scripts: bool = True
) -> Iterator[Opened]:
    """A file in a window of its own, loaded."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if dark else "light",
        java_script_enabled=scripts,
    )
    try:
        view = Opened(context.new_page())
        view.page.on("request", lambda request: view.requests.append(request.url))
        view.page.on("pageerror", lambda error: view.errors.append(str(error)))
        view.page.on("console", lambda message: view.errors.append(message.text) if message.type == "error" else None)
        view.page.goto(path.as_uri())
        yield view
    finally:
        context.close()


AXE = Path(__file__).with_name("axe.min.js")  # axe-core 4.14.1, MPL-2.0, unchanged from the npm package axe-core
WCAG = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
WORDS_OPEN, PAGES, FIRST_RESULT = 3000, 14, 500  # at most: words, printed pages, pixels above the first result

# Tables that are wider than their box.
WIDE = """() => [...document.querySelectorAll(".scroll")].filter((box) => box.clientWidth && box.scrollWidth > box.clientWidth + 1)
  .map((box) => `${box.getAttribute("aria-labelledby")}: ${box.scrollWidth} in ${box.clientWidth}`)"""


def words_open(view: Opened) -> int:
    """Words on the page with every fold closed, those of plots and tables included."""
    return int(view.run("document.body.innerText.split(/\\s+/).filter(Boolean).length"))


def printed_pages(view: Opened) -> int:
    """Pages of A4 that the page takes as it is folded."""
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", view.page.pdf(format="A4")))


def first_result(view: Opened) -> float:
    """Pixels above the first plot or table."""
    return float(view.run("document.querySelector('main svg.plot, main table').getBoundingClientRect().top + scrollY"))


def violations(view: Opened, *, within: str = "html") -> list[str]:
    """What axe-core finds against WCAG 2.2 AA: rule, and the first element at fault."""
    if not view.run("'axe' in window"):
        view.page.evaluate(AXE.read_text(encoding="utf-8"))
    found = view.page.evaluate(
        "([within, tags]) => axe.run(within, {runOnly: tags, resultTypes: ['violations']})", [within, list(WCAG)]
    )
    return [f"{rule['id']}: {rule['nodes'][0]['html'][:200]}" for rule in found["violations"]]


def check_accessible(browser: Browser, path: Path) -> None:
    """axe-core finds nothing against WCAG 2.2 AA, by day and by night, with every fold open."""
    for dark in (False, True):
        with opened(browser, path, dark=dark) as view:
            view.unfold()
            assert violations(view) == [], "dark" if dark else "light"


def check_short(browser: Browser, path: Path) -> None:
    """The result comes first, the page is short, and no table is wider than its box."""
    with opened(browser, path) as view:
        view.page.set_viewport_size({"width": 1280, "height": 800})
        assert first_result(view) <= FIRST_RESULT
        assert words_open(view) <= WORDS_OPEN
        assert printed_pages(view) <= PAGES
        view.unfold()
        assert view.run(WIDE) == []


def check_report(browser: Browser, path: Path) -> None:
    """What every report promises on a phone and a desk, by day and by night, and on paper."""
    with opened(browser, path) as view:
        view.unfold()
        for width, scheme in ((380, "light"), (380, "dark"), (1280, "light")):
            view.page.set_viewport_size({"width": width, "height": 900})
            view.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            assert not view.too_wide(), width
            contrast = view.run(CONTRAST)
            assert contrast["total"] > 100
            assert contrast["low"] == [], (width, scheme)
        names = view.run(NAMELESS)
        assert names["total"] > 10
        assert names["bad"] == []
        view.run("document.querySelectorAll('details').forEach((d) => { d.open = false; })")
        view.page.set_viewport_size({"width": 794, "height": 900})  # A4 at 96 dpi
        view.page.emulate_media(media="print", color_scheme="dark")
        view.run("window.dispatchEvent(new Event('beforeprint'))")
        assert not view.run("[...document.querySelectorAll('details')].some((d) => d.open)")  # folded stays folded
        assert not view.page.locator("nav").is_visible()
        assert not view.too_wide()
        assert view.run(CONTRAST)["low"] == []
        assert [url for url in view.requests if not url.startswith("data:")] == [path.as_uri()]
        assert view.errors == []
