"""The installed Chromium through Playwright: open a report, note what it asks for, and judge what it looks like."""

from __future__ import annotations

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
        assert view.run("[...document.querySelectorAll('details')].every((d) => d.open)")
        assert not view.page.locator("nav").is_visible()
        assert not view.too_wide()
        assert view.run(CONTRAST)["low"] == []
        assert [url for url in view.requests if not url.startswith("data:")] == [path.as_uri()]
        assert view.errors == []
