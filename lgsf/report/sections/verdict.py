"""The claim and the published numbers beside ours."""

from __future__ import annotations

from lgsf.render.flow import Heading, Item, Paragraph
from lgsf.report.collected import Collected
from lgsf.report.section import Section
from lgsf.verdict.section import RULE, verdict_parts


def section(found: Collected) -> Section:
    parts = verdict_parts(found.experiment, found.runs, found.verdicts, found.claims)
    items: list[Item] = []
    for part in parts:
        items += [Heading(part.dataset)] if len(parts) > 1 else []
        items += [Paragraph(part.words)] if part.reason else [Paragraph(part.words), part.claim]
        if part.published is None:
            items.append(Paragraph(part.sentence))
        else:
            items += [Paragraph(f"{part.counted}."), part.published, Paragraph(RULE, css="note")]
    return Section("claim", "The claim and the published numbers", nav="Published", items=tuple(items))
