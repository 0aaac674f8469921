"""What a configuration asks for: tables, runs, what is diagnosed, and the settings that decide reruns."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lgsf.config.experiment import Experiment
from lgsf.config.file import Config
from lgsf.config.study import INTERACTION, LGSF, Study
from lgsf.models.build import method_class
from lgsf.models.lgsf import LGSFParameters

VSEPP = "baselines.vsepp:VSEPP"
METHODS: dict[str, Any] = {
    "lgsf": {"model": LGSF, "title": "LGSF", "published": "lgsf"},
    "alone": {"extends": "lgsf", "parameters": {"interaction": {"kind": "none"}}},
    "wrong": {"extends": "lgsf", "parameters": {"interaction": "none"}},
    "vsepp": {"model": VSEPP, "title": "VSE++"},
    "mine": {"model": "my_module:Mine"},
}
ENSEMBLES: dict[str, Any] = {
    "arms": {"title": "Arms", "members": ["lgsf", "alone"]},
    "mixed": {"members": ["lgsf", "vsepp", "vsepp"]},
}
FACTORIAL: dict[str, Any] = {
    "factors": {"g": "G", "h": "H"},
    "cells": {"lgsf": ["g", "h"], "alone": ["h"], "wrong": ["g"], "vsepp": []},
}


def study(**changes: Any) -> Study:
    run = {"datasets": ["drawn"], "methods": list(METHODS), "seeds": [0, 1], "reference": "vsepp"}
    config: dict[str, Any] = {
        "experiment": "try",
        "datasets": {
            "drawn": {"source": "scenes"},
            "pack": {"source": "precomp", "path": "data/pack", "images": "data/photos"},
        },
        "methods": METHODS,
        "ensembles": ENSEMBLES,
        **changes,
        "run": {**run, **changes.get("run", {})},
    }
    return Study(Config.parse(config))


def test_tables_tell_ours_from_others() -> None:
    assert study(run={"methods": ["lgsf", "vsepp", "arms", "mixed", "mine"]}).tables == {
        "comparison": ("lgsf", "vsepp", "arms", "mixed", "mine"),
        "ablations": ("lgsf", "arms"),
        "baselines": ("vsepp", "mixed", "mine"),
    }


def test_words_go_to_the_report_alone() -> None:
    reasons = {**METHODS, "lgsf": {**METHODS["lgsf"], "choices": {"margin": "as everybody"}}}
    asked = study(methods=reasons, run={"methods": ["lgsf", "vsepp", "mixed"]})
    plain, worded = (asked.experiment(["lgsf", "mixed"], words=words) for words in (False, True))
    assert not plain.sources and not any(method.choices or method.members for method in plain.methods)
    assert worded.sources == {"drawn": "drawn scenes, made by this project"}
    lgsf, mixed = worded.methods
    assert lgsf.choices == {"margin": "as everybody"}
    assert mixed.members == ("LGSF", "VSE++", "VSE++")
    assert Experiment.parse(worded.model_dump_json()) == worded


def test_a_table_of_nothing_is_not_made() -> None:
    assert set(study(run={"methods": ["vsepp"]}).tables) == {"comparison", "baselines"}
    assert set(study(run={"methods": ["lgsf"], "reference": "lgsf"}).tables) == {"comparison", "ablations"}


def test_an_ensemble_stands_for_its_members_once() -> None:
    assert study().trained(["vsepp", "mixed", "arms"]) == ["vsepp", "lgsf", "alone"]
    assert study().modules("mixed") == ["lgsf.models.lgsf", "baselines.vsepp"]
    assert study().modules("mine") == ["my_module"]


def test_arms_with_an_interaction_are_diagnosed() -> None:
    assert study(run={"methods": ["lgsf", "alone", "wrong", "vsepp", "arms"]}).diagnosed == ("lgsf",)


def test_the_default_interaction_is_that_of_lgsf() -> None:
    assert LGSFParameters().interaction.kind == INTERACTION
    assert method_class(LGSF, source="a test").Parameters is LGSFParameters


def test_the_graph_is_asked_where_there_is_one() -> None:
    asked = study(run={"datasets": ["drawn", "pack"], "methods": ["vsepp"], "controls": ["random", "truth"]})
    runs = [(run.dataset, run.method) for run in asked.runs(["vsepp"]) if run.seed == 0]
    drawn = [("drawn", method) for method in ("vsepp", "random", "truth")]
    assert runs == [*drawn, ("pack", "vsepp"), ("pack", "random")]


def test_an_experiment_survives_the_command_line() -> None:
    made = study(factorial=FACTORIAL).experiment(["lgsf", "vsepp", "arms"])
    assert Experiment.parse(made.model_dump_json()) == made
    assert made.title == "try" and made.reference == "vsepp"
    assert [(m.title, m.ensemble, m.published) for m in made.methods] == [
        ("LGSF", False, "lgsf"),
        ("VSE++", False, None),
        ("Arms (ensemble)", True, None),
    ]


def test_the_first_method_stands_in_for_an_absent_reference() -> None:
    assert study().experiment(["alone", "lgsf"]).reference == "alone"


@pytest.mark.parametrize(("name", "without"), [("drawn", {"needs"}), ("pack", {"images", "needs"})])
def test_photos_and_downloads_are_no_part_of_a_datasets_settings(name: str, without: set[str]) -> None:
    asked = study()
    settings = json.loads(asked.dataset_settings(name))
    assert set(type(asked.config.datasets[name]).model_fields) - set(settings) == without


def test_photos_of_datasets_that_are_run() -> None:
    assert study().photos() == {}
    assert study(run={"datasets": ["drawn", "pack"]}).photos() == {"pack": "data/photos"}


def test_tuned_runs_stand_beside_the_untuned() -> None:
    assert study().tuned_experiment(results="out", logs="logs/x") == {
        "experiment": "try_tuned",
        "title": "try, tuned on dev",
        "results": "out/tuned/try",
        "logs": "logs/x/tuned/try",
        "choices": {method: {} for method in ("lgsf", "alone", "wrong", "vsepp", "mine")},
    }


def test_records_of_downloads_stand_for_what_they_bring() -> None:
    """A file that is fetched is no input of its own: that it appears would prepare the dataset twice."""
    archive = {"urls": ["http://x/y"], "sha256": "0" * 64, "bytes": 9, "licence": "CC0", "path": "p/test_ims.npy"}
    unpack = {**archive, "path": "z", "unpack": {"folder": "p/", "most_bytes": 9}}
    for downloads, needs, left in (({}, [], 14), ({"f": archive}, ["f"], 13), ({"f": unpack}, ["f"], 0)):
        data = {"source": "precomp", "path": "p", "needs": needs}
        asked = study(downloads=downloads, datasets={"pack": data}, run={"datasets": ["pack"]})
        assert len(asked.source_files("pack")) == left
