"""The configuration says what is wrong in one sentence, and inheritance changes what it names and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from lgsf.config.file import Config
from lgsf.config.run_settings import RunSettings
from lgsf.system.errors import LgsfError
from lgsf.system.settings import deep_merge

DOWNLOAD = {"urls": ["http://x"], "sha256": "0" * 64, "bytes": 1, "licence": "CC0", "path": "p"}
GOOD: dict[str, Any] = {
    "experiment": "x",
    "run": {"datasets": ["scenes"], "methods": ["a"], "seeds": [0], "reference": "a"},
    "datasets": {"scenes": {"source": "scenes"}, "pack": {"source": "precomp", "path": "p"}},
    "methods": {
        "a": {"model": "x:Y", "title": "A", "parameters": {"g": {"h": 1, "i": 2}}, "training": {"epochs": 3}},
        "b": {"extends": "a", "parameters": {"g": {"h": 5}}, "training": {"sum_steps": 9}},
        "c": {"extends": "a"},
        "d": {"extends": "a"},
    },
    "factorial": {"factors": {"g": "G", "h": "H"}, "cells": {"a": [], "b": ["g"], "c": ["g", "h"], "d": ["h"]}},
}


def test_inheritance_changes_only_what_it_names() -> None:
    config = Config.parse(GOOD)
    a, b = config.run_settings("scenes", "a"), config.run_settings("scenes", "b")
    assert b.parameters == {"g": {"h": 5, "i": 2}}
    assert b.training == a.training.model_copy(update={"sum_steps": 9})
    assert a.training.epochs == 3
    assert (config.title_of("a"), config.title_of("b")) == ("A", "b")
    assert {k for k, v in a.plain().items() if v != b.plain()[k]} == {"method", "parameters", "training"}


def test_words_about_a_method_are_no_part_of_its_settings() -> None:
    raw = copy.deepcopy(GOOD)
    before = Config.parse(raw).run_settings("scenes", "b")
    raw["methods"]["a"] |= {"title": "Another", "choices": {"g.h": "because"}}
    assert Config.parse(raw).run_settings("scenes", "b") == before
    older = {**before.plain(), "title": "b", "choices": {"g.h": "why"}}  # as runs of before 0.2 hold them
    assert RunSettings.model_validate(older) == before


def test_several_processes_are_part_of_the_settings_and_one_leaves_them_as_they_were() -> None:
    one, two = (Config.parse({**GOOD, "processes": n}).run_settings("scenes", "a").plain() for n in (1, 2))
    assert one == Config.parse(GOOD).run_settings("scenes", "a").plain()
    assert "processes" not in one and two == {**one, "processes": 2}
    assert RunSettings.model_validate(two).processes == 2


def test_only_batches_of_what_is_trained_must_have_equal_shares() -> None:
    raw = copy.deepcopy(GOOD)
    raw["methods"]["b"]["training"] = {"batch_size": 5}
    assert Config.parse({**raw, "processes": 4}).processes == 4
    for methods in (["a", "b"], ["a", "two"]):
        changed = {**raw, "processes": 4, "ensembles": {"two": {"members": ["a", "b"]}}}
        with pytest.raises(LgsfError, match=r"methods\.b: training\.batch_size 5 is not a multiple of processes 4"):
            Config.parse({**changed, "run": {**raw["run"], "methods": methods}})


def test_seeds_of_an_ensemble_share_no_run() -> None:
    """A method that stands there m times gives seeds m*k ... m*k + m - 1 to seed k, so no run serves twice."""
    ensembles = {"two": {"members": ["a", "a"]}, "mixed": {"title": "M", "members": ["a", "b", "a", "a"]}}
    config = Config.parse({**GOOD, "ensembles": ensembles})
    assert [config.members("two", k) for k in (0, 1, 5)] == [
        [("a", 0), ("a", 1)], [("a", 2), ("a", 3)], [("a", 10), ("a", 11)]
    ]  # fmt: skip
    assert config.members("mixed", 2) == [("a", 6), ("b", 2), ("a", 7), ("a", 8)]
    assert config.members("b", 4) == [("b", 4)]
    everything = [run for seed in range(20) for run in config.members("mixed", seed)]
    assert len(set(everything)) == len(everything) == 80


def test_titles_say_what_is_an_ensemble() -> None:
    ensembles = {"two": {"members": ["a", "b"]}, "named": {"title": "T*", "members": ["a", "b"]}}
    config = Config.parse({**GOOD, "ensembles": ensembles, "run": {**GOOD["run"], "methods": ["a", "two"]}})
    titles = [config.title_of(name) for name in ("a", "b", "two", "named")]
    assert titles == ["A", "b", "two (ensemble)", "T* (ensemble)"]


CASES: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda c: c.update(zzz=1), "unknown key 'zzz'"),
    (lambda c: c["datasets"]["scenes"].update(trian=3), "unknown key 'datasets.scenes.trian'"),
    (lambda c: c["datasets"]["scenes"].update(train="3"), "datasets.scenes.train: input should be a valid integer"),
    (lambda c: c["datasets"].update(scenes={}), "datasets.scenes"),
    (lambda c: c["datasets"].update(scenes={"source": "moon"}), "datasets.scenes.*'moon'"),
    (lambda c: c["datasets"].update(pack={"source": "precomp"}), "key 'datasets.pack.path' is missing"),
    (lambda c: c["methods"].update({"a b": {"model": "x:Y"}}), "small letters, digits and underscores, not 'a b'"),
    (lambda c: c["methods"].update({"a'b": {"model": "x:Y"}}), "small letters, digits and underscores"),
    (lambda c: c["methods"].update(oracle={"model": "x:Y"}), "belongs to a control"),
    (lambda c: c["methods"]["b"].update(extends="q"), "methods.b.extends names 'q'"),
    (lambda c: c["methods"]["a"].update(extends="b"), "circle"),
    (lambda c: c["methods"]["a"].update(model="os.system('x')"), "methods.a.model"),
    (lambda c: c["methods"].update(e={}), "methods.e: 'model' is missing"),
    (lambda c: c["methods"]["b"]["training"].update(epoch=1), "methods.b.training: unknown key 'epoch'"),
    (lambda c: c["run"].update(methods=["q"]), "run.methods names 'q'.*known are a, b, c, d"),
    (lambda c: c["run"].update(reference="b"), "run.reference names 'b', which is not among run.methods"),
    (lambda c: c["run"].update(seeds=["0"]), "run.seeds"),
    (lambda c: c["run"].update(seeds=[0, 0]), "listed twice"),
    (lambda c: c["run"].update(seeds=[-1]), "greater than or equal to 0"),
    (lambda c: c.update(training={"epochs": 0}), "training.epochs"),
    (lambda c: c.update(training=3), "training"),
    (lambda c: c.update(ensembles={"e": {"members": ["a", "q"]}}), "ensembles.e.members names 'q', .*known are a, b"),
    (
        lambda c: c.update(ensembles={"e": {"members": ["a", "b"]}, "f": {"members": ["a", "e"]}}),
        "ensembles.f.members names 'e', which is itself an ensemble",
    ),
    (lambda c: c.update(ensembles={"e": {"members": ["a"]}}), "ensembles.e.members"),
    (lambda c: c.update(ensembles={"a": {"members": ["a", "b"]}}), "ensembles.a: this name belongs to a method"),
    (lambda c: c.update(ensembles={"random": {"members": ["a", "b"]}}), "ensembles.random: .* belongs to a control"),
    (lambda c: c.update(transductive={"batch_size": 0}), "transductive.batch_size"),
    (lambda c: c.pop("run"), "key 'run' is missing"),
    (lambda c: c["factorial"]["cells"].pop("b"), "factorial: cells has no method with g; name one"),
    (lambda c: c["factorial"]["cells"].update(d=["h", "g"]), r"cells.c and cells.d have the same parts on"),
    (lambda c: c["factorial"]["cells"].update(b=["q"]), "factorial: cells.b names 'q', which is not among factors"),
    (lambda c: c["factorial"]["factors"].pop("h"), "factorial.factors: at least 2 entries are needed"),
    (lambda c: c["factorial"]["cells"].update(z=c["factorial"]["cells"].pop("b")), "factorial.cells names 'z'.*known"),
    (lambda c: c["datasets"]["pack"].update(needs=["q"]), "datasets.pack.needs names 'q', .*known are none"),
    (lambda c: c["datasets"]["pack"].update(store="int4"), "datasets.pack.store: .*not 'int4'"),
    (lambda c: c.update(downloads={"d": {**DOWNLOAD, "sha256": "5"}}), "downloads.d.sha256"),
    (lambda c: c.update(downloads={"d": {**DOWNLOAD, "urls": ["ftp://x"]}}), "downloads.d.urls.*begins with https"),
    (lambda c: c.update(downloads={"d": DOWNLOAD, "e": DOWNLOAD}), "two of downloads have the path 'p'"),
    (lambda c: c.update(tuning={"trials": 0}), "tuning.trials: .*greater than or equal to 1"),
    (lambda c: c.update(tuning={"ranges": {}}), "tuning.ranges: .*at least 1"),
    (lambda c: c.update(tuning={"ranges": {"parameters.h": {"low": 1, "high": 2}}}), "parameters belong to one method"),
    (lambda c: c.update(tuning={"ranges": {"training.epochs": {"low": 1, "high": 2}}}), "'training.epochs' cannot be"),
    (lambda c: c["methods"]["a"].update(ranges={"training.lr": {"low": 1, "high": 2}}), "methods.a.*'training.lr'"),
    (lambda c: c["methods"]["a"].update(ranges={"g.h": {"low": 1, "high": 2}}), "methods.a.*begin it with"),
    (lambda c: c["methods"]["b"].update(ranges={"training.learning_rate": {"low": 1, "high": 2}}), "all methods share"),
    (lambda c: c["methods"]["b"].update(ranges={"training.learning_rate": None}), "methods.b.*all methods share"),
    (lambda c: c["methods"]["a"].update(ranges={"parameters.g.h": {"lo": 1}}), "unknown key 'methods.a.*g.h.lo'"),
    *(
        (lambda c, range_=range_: c["methods"]["a"].update(ranges={"parameters.g.h": range_}), f"g.h.*{sentence}")
        for range_, sentence in (
            ({}, "give choices, or both low and high"),
            ({"low": 1}, "both low and high"),
            ({"low": "5e-4", "high": 1}, r"low: a finite number is needed, not '5e-4'"),
            ({"low": 2, "high": 1}, "low must be smaller"),
            ({"low": 0.0, "high": 1.0, "log": True}, "above zero"),
            ({"low": 0.0, "high": 1.0, "step": 0.3}, "whole steps"),
            ({"low": 0.0, "high": 1.0, "step": -0.5}, "whole steps"),
            ({"choices": [1]}, "at least two values"),
            ({"choices": ["x", "x"]}, "no two of them equal"),
            ({"choices": [1, 2], "low": 1}, "not both"),
        )
    ),
]


@pytest.mark.parametrize(("change", "sentence"), CASES)
def test_every_mistake_is_one_sentence(change: Callable[[dict[str, Any]], Any], sentence: str) -> None:
    broken = copy.deepcopy(GOOD)
    change(broken)
    with pytest.raises(LgsfError, match=sentence) as caught:
        Config.parse(broken)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_ranges_are_inherited_but_not_over_a_value_of_ones_own() -> None:
    raw = copy.deepcopy(GOOD)
    whole, parts = {"low": 1, "high": 9}, {"choices": [1, 2]}
    raw["methods"]["a"]["ranges"] = {"parameters.g.h": whole, "parameters.g.i": parts, "training.clip_norm": whole}
    raw["methods"]["c"] = {"extends": "b", "ranges": {"parameters.g.h": parts, "training.clip_norm": None}}
    config = Config.parse(raw)
    lr = "training.learning_rate"
    assert set(config.ranges_of("a")) == {"parameters.g.h", "parameters.g.i", "training.clip_norm", lr}
    assert set(config.ranges_of("b")) == {"parameters.g.i", "training.clip_norm", lr}  # it sets g.h
    assert set(config.ranges_of("c")) == {"parameters.g.h", "parameters.g.i", lr}
    assert config.ranges_of("c")["parameters.g.h"].choices == (1, 2)
    assert config.ranges_of("a")[lr] == config.ranges_of("c")[lr] == config.tuning.ranges[lr]


def test_how_values_were_tuned_goes_into_the_settings_and_ranges_do_not() -> None:
    raw = copy.deepcopy(GOOD)
    before = Config.parse(raw).run_settings("scenes", "b")
    assert "tuned" not in before.plain()  # what was not tuned keeps its hash
    raw["methods"]["b"]["ranges"] = {"parameters.g.i": {"choices": [1, 2]}}
    raw["tuning"] = {"trials": 99}
    assert Config.parse(raw).run_settings("scenes", "b") == before
    tuned = {"trials": 2, "dev_looks": 6, "paths": ["parameters.g.h"], "dev_rsum": 1.5, "dev_rsum_configured": None}
    raw["methods"]["a"]["tuned"] = {**tuned, "trials_sha256": "0" * 64}
    found = Config.parse(raw).run_settings("scenes", "b")  # its values come from the same looks
    assert found.plain()["tuned"] == {**tuned, "failed": 0, "trials_sha256": "0" * 64}


def test_merge_replaces_lists() -> None:
    assert deep_merge({"a": [1, 2], "b": {"c": 1}}, {"a": [3], "b": {"d": 2}}) == {"a": [3], "b": {"c": 1, "d": 2}}
