"""Failed and missing runs."""

from __future__ import annotations

import pandas as pd

from lgsf.render.block import Block, Cell, table_block, words
from lgsf.render.flow import Item, Paragraph
from lgsf.render.numbers import RULE
from lgsf.report.collected import Collected
from lgsf.report.section import Section

NONE = "None: every run of the plan has finished."


def section(found: Collected) -> Section:
    block = absent_block("absent", "Runs without a result", found.runs)
    items: tuple[Item, ...] = (Paragraph(RULE, page_only=True), block) if block.rows else (Paragraph(NONE),)
    return Section("runs", "Failed or missing runs", nav="Failed runs", items=items)


def absent_block(id_: str, caption: str, runs: pd.DataFrame) -> Block:
    """Failed and missing runs with their reasons."""
    absent = runs[runs["status"] != "finished"].drop_duplicates(["dataset", "method", "seed"])
    rows = [
        [Cell(run["title"]), Cell(run["dataset"]), Cell(str(run["seed"]), sort=float(run["seed"])),
         Cell(run["status"], css="warn"), Cell(run["reason"], css="prose")]
        for run in absent.to_dict("records")
    ]  # fmt: skip
    return table_block(id_, caption, words("method", "dataset", "seed", "status", "reason"), rows)
