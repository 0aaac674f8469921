"""What people give – paths, texts, seeds – is brought into one form where it comes in, and nowhere else."""

from __future__ import annotations

import re
from pathlib import Path

from lgsf.system.errors import LgsfError
from lgsf.system.names import LARGEST_SEED

UTF8_SIG = "utf-8-sig"  # UTF-8 that may begin with a byte order mark, as Windows writes it
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def given_path(text: str | Path) -> Path:
    """The path that is meant: ~ is the home folder, trailing and doubled slashes are nothing.

    Raises LgsfError for an empty path, and for a ~ without a home.
    """
    if not str(text).strip() or "\0" in str(text):
        raise LgsfError(f"the path {str(text)!r} is empty or no path: name a file or a folder.")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise LgsfError(f"{text}: the home folder that ~ stands for is unknown: write the path in full.") from None


def read_text(path: Path, *, remedy: str) -> str:
    """A text file in UTF-8 without its byte order mark; `remedy` ends the sentence where it is missing.

    Raises LgsfError where the file is missing, unreadable, UTF-16, or where a line is not UTF-8.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise LgsfError(f"{path} is missing: {remedy}.") from None
    except OSError as error:
        raise LgsfError(f"{path} cannot be read ({error.strerror or error}): {remedy}.") from None
    if raw.startswith(_UTF16):
        raise LgsfError(f"{path} is UTF-16: convert the file to UTF-8.")
    try:
        return raw.decode(UTF8_SIG)
    except UnicodeDecodeError as error:
        start = error.start + (3 if raw.startswith(b"\xef\xbb\xbf") else 0)
        line, column = raw.count(b"\n", 0, start) + 1, start - raw.rfind(b"\n", 0, start) - 1
        raise LgsfError(f"{path}, line {line} is not UTF-8 (byte {column}): convert the file to UTF-8.") from None


def check_seed(seed: int) -> int:
    """The seed, if every generator takes it and every table can hold it; LgsfError otherwise."""
    if not 0 <= seed <= LARGEST_SEED:
        raise LgsfError(f"the seed {seed} is not in 0..{LARGEST_SEED}: choose a smaller one.")
    return seed


def seed_of_folder(out: Path, seed: int | None = None) -> int | None:
    """The seed that a run's folder names, or None where it names none.

    Raises LgsfError for a folder that looks like one but that no table looks for (seed007, Seed1, seed_1), and where
    it contradicts `seed`.
    """
    found = re.fullmatch(r"seed(0|[1-9][0-9]*)", out.name)
    if found is None:
        if alike := re.fullmatch(r"seed[ _-]?([0-9]+)", out.name, re.IGNORECASE):
            raise LgsfError(
                f"--out {out}: tables look for <name>/seed<k>, and would not find {out.name!r}: "
                f"call the folder seed{int(alike[1])}."
            )
        return None
    named = check_seed(int(found[1]))
    if seed is not None and seed != named:
        raise LgsfError(f"--seed {seed} contradicts --out {out}: tables would not find the run; name one seed.")
    return named
