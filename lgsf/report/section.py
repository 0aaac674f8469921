"""A section of the page: a module of lgsf.report.sections makes it, a template arranges it."""

from __future__ import annotations

from dataclasses import dataclass

from lgsf.render.flow import Item


@dataclass(frozen=True)
class Section:
    """What one heading of the page stands for.

    id        anchor;  nav  how the contents call it, "" where they do not
    items     what it says, in order
    template  name in templates/sections; `section` prints `items` as they are, another one has its own .html and .md
              and shows `data`
    """

    id: str
    title: str
    nav: str = ""
    items: tuple[Item, ...] = ()
    template: str = "section"
    data: object = None
