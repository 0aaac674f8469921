"""Which methods stand together, and which parts of the method under test an ablation has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lgsf.report.collected import Collected
from lgsf.runs.facts import RunFacts

OURS, ABLATIONS, BASELINES, ENSEMBLES = "Method under test", "Ablations", "Baselines", "Ensembles"
ELSEWHERE, UNFINISHED, CONTROLS = "Trained elsewhere", "No finished run", "Controls, no competitors"
ORDER = (OURS, ABLATIONS, BASELINES, ENSEMBLES, ELSEWHERE, UNFINISHED, CONTROLS)
WITH, WITHOUT = "✓", "–"
# part -> how tables call it, and what a setting of `parameters.<part>` other than its presence makes of it
PARTS = {"graph": "GAT", "interaction": "interaction", "triangle": "triangle"}
RESTRICTED = {("graph", "edges", "self"): "self-edges", ("interaction", "kind", "identity"): "itself only"}


@dataclass(frozen=True)
class MethodGroup:
    """Methods under one label, in the order of the tables."""

    label: str
    methods: tuple[str, ...]

    @property
    def competes(self) -> bool:
        return self.label != CONTROLS


def method_groups(found: Collected, dataset: str) -> list[MethodGroup]:
    """Every method and control of a dataset's tables in its group; a group without members is left out."""
    runs = found.runs[found.runs["dataset"] == dataset].drop_duplicates("method")
    records = first_records(found, dataset)
    own = records.get(found.subject)
    members: dict[str, list[str]] = {label: [] for label in ORDER}
    for name, kind in zip(runs["method"], runs["kind"], strict=True):
        members[_label(found.subject, str(name), str(kind), own, records.get(str(name)))].append(str(name))
    return [MethodGroup(label, tuple(own)) for label, own in members.items() if own]


def _label(subject: str, name: str, kind: str, own: RunFacts | None, facts: RunFacts | None) -> str:
    if name == subject:
        return OURS
    by_kind = {"control": CONTROLS, "ensemble": ENSEMBLES, "zero_shot": ELSEWHERE, "imported": ELSEWHERE}
    if kind in by_kind:
        return by_kind[kind]
    if facts is None:
        return UNFINISHED
    same = own is not None and own.config.get("model") and facts.config.get("model") == own.config.get("model")
    return ABLATIONS if same else BASELINES


def first_records(found: Collected, dataset: str) -> dict[str, RunFacts]:
    """Method -> the record of its first finished run."""
    records: dict[str, RunFacts] = {}
    for facts in found.facts(dataset):
        records.setdefault(facts.method, facts)
    return records


def method_parts(facts: RunFacts | None) -> dict[str, str]:
    """Part -> ✓, – or what is left of it; {} for a model that knows none of the parts."""
    parameters: Mapping[str, Any] = {} if facts is None else facts.config.get("parameters", {})
    if not all(isinstance(parameters.get(part), Mapping) for part in PARTS):
        return {}
    return {part: _part(part, parameters[part]) for part in PARTS}


def _part(part: str, settings: Mapping[str, Any]) -> str:
    if settings.get("kind", "") in ("none", None) or settings.get("weight", 1) == 0:
        return WITHOUT
    for (of, key, value), words in RESTRICTED.items():
        if of == part and settings.get(key) == value:
            return words
    return WITH
