"""The text of an inspection: what the dataset is, a table of its splits, and what looks wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def as_markdown(name: str, facts: Mapping[str, Any], errors: Sequence[str], warnings: Sequence[str]) -> str:
    """Markdown that reads well on a terminal; what is wrong comes first."""
    lines = [f"# Dataset {name}", ""]
    lines += [f"- error: {sentence}" for sentence in errors] + [f"- warning: {sentence}" for sentence in warnings]
    lines += [] if errors or warnings else ["Nothing looks wrong."]
    lines += ["", *(f"- {key}: {value}" for key, value in facts["dataset"].items()), ""]
    splits = facts.get("splits", {})
    if splits:
        rows = [("", *splits)]
        rows += [(_plain(key), *(_value(split.get(key)) for split in splits.values())) for key in _keys(splits)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        made = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in rows]
        lines += [made[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *made[1:], ""]
    return "\n".join(lines)


def _keys(splits: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for split in splits.values() for key in split))


def _plain(key: str) -> str:
    return key.replace("_", " ")


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{count} x {times}" for times, count in value.items())
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)
