"""Text files with one entry per line: captions and ids, read so that every fault can be named by its line."""

from __future__ import annotations

from pathlib import Path

from lgsf.data.text import is_bytes_literal
from lgsf.system.errors import LgsfError
from lgsf.system.given import read_text


def read_lines(path: Path, entry: str) -> list[str]:
    """The entries of a UTF-8 file, stripped; `entry` is what one line holds ("caption", "image id").

    Line ends of Windows, a byte order mark, a missing newline at the end and blank lines behind the last
    entry are all right. Raises LgsfError, with the number of the line, for a line that is not UTF-8, is
    blank, or is the printed form of Python bytes (b'...').
    """
    text = read_text(path, remedy="check the path and the names of the splits")
    # Only \n ends a line: str.splitlines would also break at characters that occur inside captions.
    return [_entry(path, number, raw, entry) for number, raw in enumerate(text.rstrip().split("\n"), start=1)]


def _entry(path: Path, number: int, raw: str, entry: str) -> str:
    line = raw.strip()
    if not line:
        raise LgsfError(f"{path}, line {number}: the {entry} is empty; remove it or fill it in.")
    if is_bytes_literal(line):
        raise LgsfError(
            f"{path}, line {number}: the {entry} is a printed Python bytes literal, {line[:20]}...; "
            "write the file again as decoded text."
        )
    return line
