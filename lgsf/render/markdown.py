"""Text, tables, and what a section says as Markdown."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator

from lgsf.render.block import Block, Cell
from lgsf.render.flow import Details, Figures, Heading, Item, Paragraph

_MARKUP = re.compile(r"([\\`*_{}\[\]|~#])")


def markdown_text(text: object) -> str:
    """Free text that Markdown shows literally, on one line: no HTML, table cell or emphasis comes of it."""
    one_line = " ".join(str(text).split())
    return _MARKUP.sub(r"\\\1", html.escape(one_line, quote=False))


def block_lines(block: Block) -> list[str]:
    """A table of the report: its caption, a blank line, the table and its note."""
    return [markdown_text(block.caption), "", *table_lines(block)]


def table_lines(block: Block) -> list[str]:
    """Head, rows, and the note after a blank line; the caption is left to whoever heads the table."""
    lines = [_line([markdown_text(name) for name in block.names])]
    lines.append("|" + "".join("---:|" if column.numeric else "---|" for column in block.columns))
    lines += [_line([_name(name), *map(_cell, cells)]) for name, *cells in block.rows]
    return [*lines, "", markdown_text(block.note)] if block.note else lines


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell) -> str:
    return markdown_text(f"{cell.marked} {cell.minor}")


def _name(cell: Cell) -> str:
    """What tells a row from its neighbours stands in brackets behind its name."""
    minor = cell.minor if cell.minor.startswith("(") or not cell.minor else f"({cell.minor})"
    return markdown_text(f"{cell.marked} {minor}")


def flow_text(items: Iterable[Item]) -> str:
    """The items of a section, each followed by a blank line; the page's fold and what is for the page alone go."""
    return "".join("\n".join(lines) + "\n\n" for lines in _flow(items))


def _flow(items: Iterable[Item]) -> Iterator[list[str]]:
    for item in items:
        if isinstance(item, Block):
            yield block_lines(item)
        elif isinstance(item, Details):
            yield from _flow(item.items)
        elif isinstance(item, Figures):
            if item.listed and item.plots:
                yield [
                    f"- [{markdown_text(p.title)}](figures/{p.id}.svg): {markdown_text(p.description)}"
                    for p in item.plots
                ]
        elif not item.page_only:
            yield [_heading(item) if isinstance(item, Heading) else _paragraph(item)]


def _heading(item: Heading) -> str:
    return f"### {markdown_text(item.text)}"


def _paragraph(item: Paragraph) -> str:
    text = markdown_text(item.text)
    return f"**{text}**" if item.css == "stamp" else text
