"""Text and tables as Markdown."""

from __future__ import annotations

import html
import re

from lgsf.render.block import Block, Cell

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
    for group, rows in block.parts:
        lines += [_line([f"**{markdown_text(group.label)}**", *[""] * (len(block.columns) - 1)])] if group.label else []
        lines += [_line([_name(name), *map(_cell, cells)]) for name, *cells in rows]
    return [*lines, "", markdown_text(block.note)] if block.note else lines


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell) -> str:
    return markdown_text(f"{cell.marked} {cell.minor}")


def _name(cell: Cell) -> str:
    """What tells a row from its neighbours stands in brackets behind its name."""
    minor = cell.minor if cell.minor.startswith("(") or not cell.minor else f"({cell.minor})"
    return markdown_text(f"{cell.marked} {minor}")
