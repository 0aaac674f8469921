"""What the page's own words mean; the first use of each in a section leads here."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup, escape

from lgsf.report.collected import Collected
from lgsf.report.section import Section

# name, how it is found in a text, what it means
TERMS = (
    ("reference", r"reference", "The method that differences are taken against; `run.reference` of the configuration."),
    ("seed", r"seeds?", "A whole training from another random start. Methods are compared over seeds, not over one lucky run."),
    ("twins", r"twins?", "Two pictures or captions with the same objects, whose attributes or relations are exchanged."),
    ("self-edges", r"self-edges", "The graph block with every region joined to itself alone: its weights without any relation."),
    ("schedule", r"schedule", "Epochs, learning rate, and the step at which hardest negatives replace the sum over all of them."),
    ("hardest negatives", r"hardest negatives", "Of all wrong candidates in a batch, the one that scores highest."),
    ("dev looks", r"dev looks", "How often a run, and the tuning behind its values, was scored on the development split."),
    ("collapse", r"collaps\w+|plateau", "All embeddings become alike and the loss stays at the value of equal scores."),
    ("control", r"controls?", "A row that frames the scale and competes with nobody: chance, the oracle, the scene graph itself."),
    ("ablation", r"ablations?", "The same model with one part taken away or replaced."),
    ("corrected p", r"corrected p|p is corrected", "p after correction for the number of questions asked: Holm or Benjamini–Hochberg."),
)  # fmt: skip


@dataclass(frozen=True)
class Glossary:
    """What the section's own template shows: (anchor, name, meaning)."""

    terms: tuple[tuple[str, str, str], ...]


def section(found: Collected) -> Section:
    terms = tuple((anchor(name), name, meaning) for name, _, meaning in sorted(TERMS))
    return Section("glossary", "Glossary", nav="Glossary", template="glossary", data=Glossary(terms))


def anchor(name: str) -> str:
    return f"term-{name.replace(' ', '-')}"


def linker() -> Callable[[str], Markup]:
    """Escapes texts; the first use of each term among them becomes a link that shows its meaning to a pointer."""
    left = {name: (re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE), meaning) for name, pattern, meaning in TERMS}

    def linked(text: str) -> Markup:
        places = []
        for name, (pattern, meaning) in left.items():
            if match := pattern.search(text):
                places.append((match.start(), match.end(), name, meaning))
        out, at = Markup(), 0
        for start, end, name, meaning in sorted(places):
            if start < at:  # inside of another term
                continue
            del left[name]
            link = Markup('<a class="term" href="#{}" title="{}">{}</a>').format(anchor(name), meaning, text[start:end])
            out += escape(text[at:start]) + link
            at = end
        return out + escape(text[at:])

    return linked
