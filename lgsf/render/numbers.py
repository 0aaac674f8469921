"""How numbers and metrics are written for readers: tables and report use the same words."""

from __future__ import annotations

import math
from datetime import datetime

NOTHING = "–"


RULE = (
    "Every finished run counts, whatever its score: collapsed runs stay in. A failed or missing run has no "
    "number, is never replaced by another seed, and leaves its row marked as incomplete."
)


LOOKS = "Dev looks: how often a run, and the tuning that its values came from, was scored on dev."


PROTOCOL_LABELS = {"full": "whole test split as gallery", "folds": "mean over folds, each its own gallery"}


def kind_mark(kind: str) -> str:
    """What a table adds to a title; the title of an ensemble says by itself that it is one."""
    words = {"trained": "", "ensemble": "", "zero_shot": "trained on other data"}
    return words.get(kind, kind)


def decimal(value: float | None, places: int = 1, *, sign: bool = False) -> str:
    """A fixed number of decimals with a true minus sign; a dash where there is no number."""
    if value is None or math.isnan(value):
        return NOTHING
    text = f"{value:{'+' if sign else ''},.{places}f}"
    if float(text.replace(",", "")) == 0:  # neither "-0.0" nor "+0.0"
        text = text.lstrip("+-")
    return text.replace("-", "−").replace(",", "\u202f")


def looks(mean: float | None) -> str:
    """Looks at dev per run: a whole number, unless the seeds of a method differ."""
    return decimal(mean, 0 if mean is None or math.isnan(mean) or mean == round(mean) else 1)


def unbroken(text: str) -> str:
    """The text with spaces that no line may break at: before %, around ±, after p =."""
    for plain in (" %", " ± ", "p = ", "p < ", "R@1 in"):
        text = text.replace(plain, plain.replace(" ", "\u00a0"))
    return text


def mean_sd(mean: float, sd: float, places: int = 1) -> str:
    """`58.3 ± 0.4`, or the mean alone where one seed gives no spread."""
    if math.isnan(sd):
        return decimal(mean, places)
    return f"{decimal(mean, places)} ± {decimal(sd, places)}"


def interval(low: float, high: float) -> str:
    """`+1.2 to +3.4`, or a dash where there is none."""
    if math.isnan(low) or math.isnan(high):
        return NOTHING
    return f"{decimal(low, sign=True)} to {decimal(high, sign=True)}"


def duration(seconds: float | None) -> str:
    """`4.2 s`, `42 s`, `12 min 5 s`, `3 h 20 min`."""
    if seconds is None or math.isnan(seconds):
        return NOTHING
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def moment(iso: str) -> str:
    """`2026-03-01T10:02:03.123+00:00` -> `2026-03-01 10:02`; other text as it is."""
    try:
        return datetime.fromisoformat(iso).strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return iso or NOTHING


def listing(items: list[str]) -> str:
    """`a, b and c`."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"
