"""Text and tables as LaTeX (booktabs), ready for a paper."""

from __future__ import annotations

from collections.abc import Iterator

from lgsf.render.block import Block, Cell, Column
from lgsf.render.numbers import NOTHING

SPECIAL = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"},
    **{"✓": r"$\surd$", "Δ": r"$\Delta$", "∞": r"$\infty$", "τ": r"$\tau$", "√": r"$\surd$", "→": r"$\to$"},
}
NUMERIC = SPECIAL | {"−": "$-$", "\u202f": r"\,", "±": r"$\pm$", "–": "--"}
MARKS = {"": "", "†": r"\textsuperscript{\dag}", "‡": r"\textsuperscript{\ddag}"}


def latex_text(text: object) -> str:
    """Free text that LaTeX prints literally, on one line."""
    return "".join(SPECIAL.get(character, character) for character in " ".join(str(text).split()))


def latex_table(block: Block, *, caption: str) -> list[str]:
    """One table environment; needs the package booktabs.

    caption  LaTeX source in place of the block's own caption, for paper readers need more of it; the note follows it
    """
    note = f" {latex_text(block.note)}" if block.note else ""
    groups = list(block.heads)
    return [
        r"\begin{table}",
        r"\centering",
        f"\\caption{{{caption}{note}}}",
        f"\\label{{{block.id}}}",
        f"\\begin{{tabular}}{{{''.join('r' if column.numeric else 'l' for column in block.columns)}}}",
        r"\toprule",
        *([_group_heads(groups), "".join(_rules(groups))] if groups else []),
        _line([_head(column) for column in block.columns]),
        r"\midrule",
        *_rows(block),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]


def _rows(block: Block) -> Iterator[str]:
    for number, (group, rows) in enumerate(block.parts):
        if group.label:
            yield from ([r"\midrule"] if number else [])
            yield f"\\multicolumn{{{len(block.columns)}}}{{l}}{{\\emph{{{latex_text(group.label)}}}}} \\\\"
        yield from (_line(_row(block.columns, row)) for row in rows)


def _line(cells: list[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _group_heads(groups: list[tuple[str, int]]) -> str:
    heads: list[str] = []
    for group, width in groups:
        heads += [f" \\multicolumn{{{width}}}{{c}}{{{latex_text(group)}}}"] if group else [""] * width
    return f"{' &'.join(heads)} \\\\"


def _rules(groups: list[tuple[str, int]]) -> Iterator[str]:
    start = 1  # LaTeX counts columns from one
    for group, width in groups:
        if group:
            yield f"\\cmidrule(lr){{{start}-{start + width - 1}}}"
        start += width


def _head(column: Column) -> str:
    return latex_text(column.short or column.name[:1].upper() + column.name[1:])


def _row(columns: tuple[Column, ...], row: tuple[Cell, ...]) -> list[str]:
    name, *cells = row
    first = latex_text(name.text) + (f" \\emph{{({latex_text(name.minor)})}}" if name.minor else "")
    return [first, *(_cell(cell, column) for cell, column in zip(cells, columns[1:], strict=True))]


def _cell(cell: Cell, column: Column) -> str:
    text = _number(cell.text) if column.numeric or cell.text == NOTHING else latex_text(cell.text)
    bold = f"\\textbf{{{text}}}" if cell.css == "best" else text
    sign, _, spread = cell.minor.partition(" ")
    minor = f"$\\pm$\\,{_number(spread)}" if sign == "±" else latex_text(cell.minor)
    return bold + MARKS[cell.mark] + (f" {{\\scriptsize{minor}}}" if minor else "")


def _number(text: str) -> str:
    return "".join(NUMERIC.get(character, character) for character in text)
