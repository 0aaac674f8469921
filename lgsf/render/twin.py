"""What a section says as Markdown; apart from lgsf.render.markdown, so that plots are no reason to make tables again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lgsf.render.block import Block
from lgsf.render.flow import Details, Figures, Heading, Item, Paragraph
from lgsf.render.markdown import block_lines, markdown_text


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
