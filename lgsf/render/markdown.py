"""Text and blocks as Markdown."""

from __future__ import annotations

import html
import re

from lgsf.render.block import Block

_MARKUP = re.compile(r"([\\`*_{}\[\]|~#])")


def markdown_text(text: object) -> str:
    """Free text that Markdown shows literally, on one line: no HTML, table cell or emphasis comes of it."""
    one_line = " ".join(str(text).split())
    return _MARKUP.sub(r"\\\1", html.escape(one_line, quote=False))


def block_lines(block: Block) -> list[str]:
    """A table of the report as Markdown: caption, head, rows, and its note."""
    lines = [markdown_text(block.caption), "", f"| {' | '.join(map(markdown_text, block.columns))} |"]
    lines.append("|" + "".join("---:|" if number else "---|" for number in block.numeric))
    for row in block.rows:
        lines.append(f"| {' | '.join(markdown_text(f'{cell.text} {cell.minor}') for cell in row)} |")
    return [*lines, "", markdown_text(block.note)] if block.note else lines
