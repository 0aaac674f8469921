"""The methods in words: what each one is, its parameters, which of them are our choice, where it differs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lgsf.config.experiment import MethodEntry
from lgsf.render.numbers import listing
from lgsf.report.collected import Collected
from lgsf.report.section import Section
from lgsf.runs.facts import RunFacts
from lgsf.runs.names import APART

MANY = 6
INTRODUCTION = (
    "The abstract of the LGSF paper gives no number, so every value of LGSF and of its arms is our choice; where a choice "
    "needs a reason, it stands beside it. Baselines follow their published recipes, except where a reason is given."
)


@dataclass(frozen=True)
class Parameter:
    """One setting; `choice` is our reason where the paper gives no value, else empty."""

    name: str
    value: str
    choice: str


@dataclass(frozen=True)
class Card:
    """A method as it was configured; methods whose settings differ between datasets have one card for each."""

    title: str
    model: str
    datasets: str
    sentence: str
    parameters: tuple[Parameter, ...]
    choices: int


@dataclass(frozen=True)
class Methods:
    """What the section's own template shows."""

    cards: list[Card]
    introduction: str = INTRODUCTION
    none: str = "No trained run has finished."


def section(found: Collected) -> Section:
    data = Methods(method_cards(found.records.values(), found.experiment.methods, subject=found.subject))
    return Section("methods", "The methods", nav="Methods", template="methods", data=data)


def method_cards(records: Iterable[RunFacts], methods: Sequence[MethodEntry], *, subject: str) -> list[Card]:
    """One card per method and distinct configuration, in the order of `records`: of models and of their ensembles."""
    entries = {method.name: method for method in methods}
    found: dict[str, tuple[RunFacts, list[str]]] = {}
    for facts in records:
        if facts.kind in APART:
            continue
        settings = {k: v for k, v in facts.config.items() if k not in ("dataset", "device", "threads", "processes")}
        settings |= {"checkpoint": facts.checkpoint.sha256} if facts.checkpoint else {}
        if facts.kind == "imported" and "model" not in facts.config:
            settings = {"imported": facts.method}  # every seed has files of its own
        _, datasets = found.setdefault(json.dumps(settings, sort_keys=True), (facts, []))
        if facts.dataset not in datasets:
            datasets.append(facts.dataset)
    bases = {facts.dataset: facts for facts, _ in found.values() if facts.method == subject}
    return [_card(facts, datasets, bases.get(facts.dataset), entries) for facts, datasets in found.values()]


def _card(facts: RunFacts, datasets: list[str], base: RunFacts | None, entries: Mapping[str, MethodEntry]) -> Card:
    entry = entries[facts.method]
    if facts.kind == "imported" and "model" not in facts.config:
        return Card(entry.title, "imported", listing(datasets), _imported_sentence(facts), (), 0)
    if facts.kind == "ensemble":
        members = entry.members or [str(member["method"]) for member in facts.config["members"]]
        return Card(entry.title, str(facts.config["combine"]), listing(datasets), _members_sentence(members), (), 0)
    # Runs of before 0.2 hold their reasons themselves.
    reasons = dict(entry.choices) or {str(k): str(v) for k, v in facts.config.get("choices", {}).items()}
    settings = flatten({k: v for k, v in facts.config.items() if k != "training" or facts.checkpoint is None})
    parameters = []
    for name, value in settings.items():
        short = name.removeprefix("parameters.")
        parameters.append(Parameter(short, show(value), reasons.pop(short, "") or reasons.pop(name, "")))
    # A reason may also speak of something that is no single setting, such as the order of two layers.
    parameters += [Parameter(name, "", why) for name, why in reasons.items()]
    return Card(
        title=entry.title,
        model=str(facts.config.get("model", "")),
        datasets=listing(datasets),
        sentence=_sentence(facts, base, entries),
        parameters=tuple(parameters),
        choices=sum(bool(p.choice) for p in parameters),
    )


def flatten(config: Mapping[str, Any]) -> dict[str, Any]:
    """`parameters` and `training` of a config as dotted names; nested mappings are opened."""
    out: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, Mapping) and value:
            for key in sorted(value):
                walk(f"{prefix}.{key}", value[key])
        else:
            out[prefix] = value

    for part in ("parameters", "training"):
        if config.get(part):
            walk(part, config[part])
    return out


def show(value: Any) -> str:
    """A setting as a reader would type it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _imported_sentence(facts: RunFacts) -> str:
    """What is known of a model of which only scores or vectors are."""
    imported: Mapping[str, Mapping[str, Mapping[str, str]]] = facts.config.get("imported", {})
    files = [f"{file['file']} (sha256 {file['sha256'][:12]}…)" for file in imported.get("test", {}).values()]
    similarity = facts.config.get("import", {}).get("similarity")
    of = f", whose {'dot product' if similarity == 'dot' else 'cosine'} is the score" if similarity else ""
    dev = (
        "How often its authors looked at dev is unknown."
        if "dev" in imported
        else "Nothing of the dev split was given: no dev rSum stands for it, and how often its authors looked at dev is unknown."
    )
    return f"Imported, not trained here: seed {facts.seed} is ranked by {listing(files)}{of}. {dev}"


def _members_sentence(titles: Sequence[str]) -> str:
    """Which models an ensemble averages: `2 × A` are two trainings of A with seeds of their own."""
    names = [f"{count} × {title}" if (count := titles.count(title)) > 1 else title for title in dict.fromkeys(titles)]
    seeds = ", each with a training seed of its own" if len(set(titles)) < len(titles) else ""
    return f"The mean of the score matrices of {listing(names)}, trained one by one{seeds}."


def _sentence(facts: RunFacts, base: RunFacts | None, entries: Mapping[str, MethodEntry]) -> str:
    if facts.checkpoint is not None:
        return facts.checkpoint.note
    if base is None or base.method == facts.method:
        return ""
    name = entries[base.method].title
    own, other = flatten(facts.config), flatten(base.config)
    changed = [key for key in sorted(own.keys() | other.keys()) if own.get(key) != other.get(key)]
    if facts.config.get("model") != base.config.get("model"):
        training = [key for key in changed if key.startswith("training.")]
        return f"A model of its own, {_changes(training, own, other, f'trained like {name}')}."
    return f"The model of {name}, {_changes(changed, own, other, 'with the same settings')}."


def _changes(keys: list[str], own: dict[str, Any], other: dict[str, Any], none: str) -> str:
    if not keys:
        return none
    if len(keys) > MANY:
        return f"with {len(keys)} other settings, listed below"
    parts = [
        f"{key.removeprefix('parameters.')} {show(own.get(key, 'absent'))} instead of {show(other.get(key, 'absent'))}"
        for key in keys
    ]
    return f"but with {listing(parts)}"
