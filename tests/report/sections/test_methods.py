"""Cards say what a method is, what was chosen and where it differs from the method under test."""

from __future__ import annotations

from typing import Any

from lgsf.config.experiment import MethodEntry
from lgsf.report.sections.methods import Card, flatten, method_cards
from lgsf.runs.facts import RunFacts


def _facts(method: str, *, dataset: str = "toy", kind: str = "trained", **config: Any) -> RunFacts:
    settings = {"dataset": dataset, "method": method, "model": "lgsf.models.lgsf:LGSF", "device": "cpu", **config}
    return RunFacts.model_validate(
        {
            **{"schema_version": 1, "kind": kind, "dataset": dataset, "method": method, "title": method.upper()},
            **{"seed": 0, "config": settings, "dataset_sha256": "0", "device": {"type": "cpu"}},
            **{"started": "2026-01-01", "ended": "2026-01-01"},
        }
    )


def _cards(*facts: RunFacts) -> list[Card]:
    names = dict.fromkeys(one.method for one in facts)
    return method_cards(facts, [MethodEntry(name=name, title=name.upper()) for name in names], subject="lgsf")


def test_nested_settings_get_dotted_names() -> None:
    config = {"parameters": {"graph": {"kind": "gatv2", "heads": 4}, "edges": {}}, "training": {"epochs": 3}}
    assert flatten(config) == {
        "parameters.edges": {},
        "parameters.graph.heads": 4,
        "parameters.graph.kind": "gatv2",
        "training.epochs": 3,
    }


def test_reasons_find_their_setting_and_none_is_lost() -> None:
    choices = {"graph.kind": "why this", "training.epochs": "why so long", "order of layers": "why that"}
    card = _cards(_facts("lgsf", parameters={"graph": {"kind": "gatv2"}}, training={"epochs": 3}, choices=choices))[0]
    assert {p.name: (p.value, p.choice) for p in card.parameters} == {
        "graph.kind": ("gatv2", "why this"),
        "training.epochs": ("3", "why so long"),
        "order of layers": ("", "why that"),
    }
    assert card.choices == 3
    assert card.sentence == ""


def test_reasons_come_from_the_configuration_where_it_has_any() -> None:
    facts = _facts("lgsf", parameters={"heads": 4}, choices={"heads": "as an old run has it"})
    (card,) = method_cards([facts], [MethodEntry(name="lgsf", title="L", choices={"heads": "now"})], subject="lgsf")
    assert (card.title, [p.choice for p in card.parameters]) == ("L", ["now"])


def test_an_arm_says_what_it_changes() -> None:
    cards = _cards(
        _facts("lgsf", parameters={"weight": 0.1, "heads": 4}),
        _facts("plain", parameters={"weight": 0.0, "heads": 4}),
    )
    assert cards[1].sentence == "The model of LGSF, but with weight 0.0 instead of 0.1."


def test_another_model_names_only_its_training() -> None:
    cards = _cards(
        _facts("lgsf", parameters={"heads": 4}, training={"epochs": 3}),
        _facts("vsepp", parameters={"bidirectional": False}, training={"epochs": 5}, model="baselines.vsepp:VSEPP"),
    )
    assert cards[1].sentence == "A model of its own, but with training.epochs 5 instead of 3."


def test_equal_settings_on_two_datasets_share_a_card_and_controls_have_none() -> None:
    cards = _cards(
        _facts("lgsf", parameters={"heads": 4}),
        _facts("lgsf", dataset="other", parameters={"heads": 4}),
        _facts("lgsf", dataset="third", parameters={"heads": 8}),
        _facts("random", kind="control"),
    )
    assert [card.datasets for card in cards] == ["toy and other", "third"]
