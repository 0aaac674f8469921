"""Tables: groups in every form, and what repeats is said once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lgsf.render.block import Cell, Group, name_cell, numbers, said_once, table_block, words
from lgsf.render.latex import latex_table
from lgsf.render.markdown import table_lines

ROWS = [[Cell("A"), Cell("1", sort=1.0), Cell("3/3")], [Cell("B"), Cell("2", sort=2.0), Cell("3/3")]]
BLOCK = table_block("t", "caption", [*words("method"), *numbers("score", "seeds")], ROWS, "Before.")
GROUPED = replace(BLOCK, groups=(Group("Ours", 1), Group("Controls & more", 1, fixed=True)))


def test_what_repeats_is_said_once() -> None:
    block = said_once(BLOCK, "score", "seeds")
    assert block.names == ("method", "score")
    assert [len(row) for row in block.rows] == [2, 2]
    assert block.note == "Before. In every row: seeds 3/3."


def test_what_differs_stays_and_a_dash_does_not_count() -> None:
    rows = [*ROWS, [Cell("C"), Cell("3"), Cell("2/3", "incomplete")]]
    assert said_once(table_block("t", "", BLOCK.columns, rows), "seeds").names == BLOCK.names
    rows = [*ROWS, [Cell("C"), Cell("3"), Cell("–")]]
    assert said_once(table_block("t", "", BLOCK.columns, rows), "seeds").names == ("method", "score")
    assert (
        said_once(table_block("t", "", BLOCK.columns, ROWS[:1]), "seeds").names == BLOCK.names
    )  # one row repeats nothing


def test_groups_have_a_line_of_their_own_in_markdown_and_latex() -> None:
    lines = table_lines(GROUPED)
    assert lines[2:6] == [
        "| **Ours** |  |  |",
        "| A | 1 | 3/3 |",
        "| **Controls &amp; more** |  |  |",
        "| B | 2 | 3/3 |",
    ]
    assert len({line.count("|") for line in lines[:6]}) == 1
    tex = latex_table(GROUPED, caption="c")
    assert r"\multicolumn{3}{l}{\emph{Ours}} \\" in tex
    assert (
        tex.index(r"\multicolumn{3}{l}{\emph{Controls \& more}} \\") == tex.index(r"A & 1 & 3/3 \\") + 2
    )  # after a rule


def test_groups_that_do_not_hold_all_rows_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"t: groups of \[1\] for 2 rows"):
        replace(BLOCK, groups=(Group("Ours", 1),))


def test_a_name_says_what_its_row_is() -> None:
    assert name_cell("Oracle", "control").minor == "control"
