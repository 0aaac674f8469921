"""Every table of the page as CSV, Parquet and LaTeX, and the tables of the experiment."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from lgsf.render.block import Block
from lgsf.render.flow import blocks_of
from lgsf.render.latex import latex_table, latex_text
from lgsf.report.collected import Collected
from lgsf.report.section import Section
from lgsf.tables.files import as_csv, read_parquet
from lgsf.tables.printed import texts

FOLDER = "downloads"
KINDS = ("csv", "parquet", "tex")
PACKAGES = "% needs \\usepackage{booktabs}"


def downloads(sections: Iterable[Section]) -> dict[str, bytes]:
    """Name -> content of the files of every table of these sections."""
    files: dict[str, bytes] = {}
    for section in sections:
        for block in blocks_of(section.items):
            frame, name = block_frame(block), f"{FOLDER}/{block.id}"
            files[f"{name}.csv"] = frame.to_csv(index=False).encode()
            files[f"{name}.parquet"] = _parquet(frame)
            tex = [PACKAGES, *latex_table(block, caption=f"{latex_text(block.caption)}.")]
            files[f"{name}.tex"] = ("\n".join(tex) + "\n").encode()
    return files


def copied(found: Collected, tables: Path) -> dict[str, bytes]:
    """The tables that the page was made from: sealed ones byte for byte, and as text what follows from them.

    Text on disk has no seal and is not read, so that no damage of it comes onto the page.
    """
    files: dict[str, bytes] = {}
    for path in sorted(tables.glob("*.parquet")):
        files[path.name] = path.read_bytes()
        files[f"{path.stem}.csv"] = as_csv(read_parquet(path)).encode()
    for name, text in texts(found.experiment, found.runs, found.tests).items():
        if name.endswith(KINDS):
            files[name] = text.encode()
    return {f"{FOLDER}/{name}": content for name, content in files.items()}


def sweep(out: Path, files: Mapping[str, object]) -> None:
    """Remove figures and tables of an earlier report that this one does not have."""
    kept = {out / name for name in files}
    for old in [
        *(out / "figures").glob("*.svg"),
        *(path for kind in KINDS for path in (out / FOLDER).glob(f"*.{kind}")),
    ]:
        if old not in kept:
            old.unlink()


def block_frame(block: Block) -> pd.DataFrame:
    """The cells of a table: numbers in full where a column has them, what stands small behind them in a column beside it.

    Rows that stand in groups name theirs in a last column.
    """
    columns: dict[str, list[object]] = {}
    for index, column in enumerate(block.columns):
        cells = [row[index] for row in block.rows]
        name = column.name if column.name not in columns else f"{column.name} ({index + 1})"
        is_number = column.numeric and any(cell.sort is not None for cell in cells)
        columns[name] = [cell.sort if is_number else cell.marked for cell in cells]
        if is_number and any(cell.mark for cell in cells):
            columns[f"{name}, mark"] = [cell.mark for cell in cells]
        if is_number and any("/" in cell.text for cell in cells):
            columns[f"{name}, as printed"] = [cell.text for cell in cells]
        if any(cell.minor for cell in cells):
            columns[f"{name}, beside it"] = [cell.minor for cell in cells]
    if block.groups:
        columns["group"] = [group.label for group in block.groups for _ in range(group.rows)]
    return pd.DataFrame(columns)


def _parquet(frame: pd.DataFrame) -> bytes:
    """Equal tables give equal bytes."""
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), buffer)
    return buffer.getvalue()
