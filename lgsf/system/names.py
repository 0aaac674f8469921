"""Names that become folders and files: one rule, asked wherever a name comes in from outside."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath

from lgsf.system.errors import LgsfError

LARGEST_SEED = 2**31 - 1  # leaves room for the seeds that ensembles, controls and trials make of one
LONGEST = 100  # characters; file systems stop at 255 bytes, and other words join a name on the way
LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")


def name_problem(value: object) -> str | None:
    """What keeps `value` from being a name of a dataset, a method or an experiment; None for a good one."""
    if not isinstance(value, str) or not value or not LETTERS.issuperset(value):
        return "a name has only small letters, digits and underscores"
    if len(value) > LONGEST:
        return f"a name has at most {LONGEST} characters"
    return None


def check_name(value: object, *, what: str) -> str:
    """`value` if it is a name; else an LgsfError that begins with `what`, the file and key that it stands in."""
    if (problem := name_problem(value)) is not None:
        raise LgsfError(f"{what}: {problem}, not {shown(value)}.")
    assert isinstance(value, str)
    return value


def check_file_name(value: object, *, what: str) -> str:
    """`value` if it is a path that stays below the folder it is told from; else an LgsfError that begins with `what`."""
    if not isinstance(value, str) or not value or any(ord(letter) < 32 for letter in value):
        raise LgsfError(f"{what}: {shown(value)} is no file name.")
    path, foreign = PurePosixPath(value), PureWindowsPath(value)
    if path.is_absolute() or foreign.anchor or ".." in (*path.parts, *foreign.parts):
        raise LgsfError(f"{what}: {shown(value)} leads out of its folder; a file name is relative and has no '..'.")
    return value


def shown(value: object, most: int = 80) -> str:
    """`value` as a sentence shows it: on one line, and cut where it is long."""
    if isinstance(value, tuple):  # a list of the configuration, as it was written
        value = list(value)
    text = repr(value[: most + 1]) if isinstance(value, str | bytes) else repr(value)
    return text if len(text) <= most + 2 else f"{text[:most]}…"
