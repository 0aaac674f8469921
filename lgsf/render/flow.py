"""What a section says, in reading order: headings, paragraphs, tables and plots. HTML and Markdown print the same flow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from lgsf.render.block import Block
from lgsf.render.plots import Plot


@dataclass(frozen=True)
class Heading:
    """A heading inside the section; `page_only` where all that follows is for the page alone."""

    kind: ClassVar[str] = "heading"
    text: str
    page_only: bool = False


@dataclass(frozen=True)
class Paragraph:
    """Sentences without markup.

    css            a class of the page's style; `stamp` is a warning
    page_only      about plots, or more than the Markdown twin needs
    before, after  what the page alone says around the text
    """

    kind: ClassVar[str] = "paragraph"
    text: str
    css: str = ""
    page_only: bool = False
    before: str = ""
    after: str = ""

    @property
    def whole(self) -> str:
        """All that the page says."""
        return " ".join(part for part in (self.before, self.text, self.after) if part)


@dataclass(frozen=True)
class Figures:
    """Plots side by side; the Markdown twin lists the `listed` ones as links with their descriptions.

    css  a class of the page's style: `wide` for a desk and paper alone, `narrow` for a phone alone
    """

    kind: ClassVar[str] = "figures"
    plots: tuple[Plot, ...]
    listed: bool = False
    css: str = ""


@dataclass(frozen=True)
class Details:
    """Something that the page folds away under a summary."""

    kind: ClassVar[str] = "details"
    summary: str
    items: tuple[Item, ...]


Item = Heading | Paragraph | Figures | Details | Block


def blocks_of(items: Iterable[Item]) -> Iterator[Block]:
    """All tables, in the order of the page."""
    for item in items:
        if isinstance(item, Block):
            yield item
        elif isinstance(item, Details):
            yield from blocks_of(item.items)


def plots_of(items: Iterable[Item]) -> Iterator[Plot]:
    """All plots, in the order of the page."""
    for item in items:
        if isinstance(item, Figures):
            yield from item.plots
        elif isinstance(item, Details):
            yield from plots_of(item.items)
