"""What a verification has found so far: how many links hold, and which ones nothing vouches for."""

from __future__ import annotations

from collections import Counter

SHOWN = 3  # examples of each kind


class Findings:
    """Counts of links that hold, and notes on those that cannot be followed; a broken link is an LgsfError."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()
        self._notes: dict[str, list[str]] = {}

    def holds(self, what: str, count: int = 1) -> None:
        """`count` links of a kind hold."""
        self._held[what] += count

    def note(self, what: str, where: object) -> None:
        """Something that is no fault, but ends the chain: said with the place where it ends."""
        self._notes.setdefault(what, []).append(str(where))

    def text(self) -> str:
        """One line per kind."""
        lines = [f"{count} {what}: hold" for what, count in sorted(self._held.items())]
        for what, places in sorted(self._notes.items()):
            more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
            lines.append(f"{len(places)} {what}: {', '.join(places[:SHOWN])}{more}")
        return "\n".join([*lines, "No broken link was found."])
