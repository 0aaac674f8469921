"""A plan refuses in one sentence what its method would refuse later, and every config in the repository has one."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from lgsf.config.file import Config
from lgsf.system.errors import LgsfError
from lgsf.system.files import write_json
from lgsf.system.settings import deep_merge
from lgsf.tuning.plan import parse_plan, read_plan
from tests.support.planning import METHODS, plan_of, raw_config


def with_ranges(**ranges: Any) -> dict[str, Any]:
    methods = copy.deepcopy(METHODS)
    methods["small"]["ranges"] = ranges
    return methods


def test_a_plan_has_defaults_filled_in_and_reads_as_it_was_written(tmp_path: Path) -> None:
    plan = read_plan(plan_of(tmp_path))
    assert plan.configured == {"parameters.margin": 0.2, "training.learning_rate": 0.01}
    assert plan.shared == ("training.learning_rate",)
    assert plan.settings.training.clip_norm == 2.0
    assert read_plan(plan_of(tmp_path / "wide", "wide")).lineage == ("wide", "small")


@pytest.mark.parametrize(
    ("ranges", "sentence"),
    [
        ({"parameters.margn": {"low": 0.1, "high": 0.3}}, "no setting 'parameters.margn'; known there are parameters."),
        ({"parameters.margin.x": {"low": 0.1, "high": 0.3}}, "no setting 'parameters.margin.x'"),
        ({"parameters.margin": {"low": 0.3, "high": 0.5}}, "parameters.margin is 0.2, which is not in its range 0.3"),
        ({"parameters.margin": {"low": 0.05, "high": 0.3, "step": 0.25}}, "in steps of 0.25"),
        ({"parameters.margin": {"low": -0.5, "high": 0.5}}, "parameters.margin of -0.5: .*greater than 0"),
        ({"parameters.word_dim": {"choices": [8, "wide"]}}, 'parameters.word_dim of "wide": .*integer'),
        ({"training.decay_epochs": {"choices": [[], ["one"]]}}, "decay_epochs"),
    ],
)
def test_bad_ranges_are_one_sentence(tmp_path: Path, ranges: dict[str, Any], sentence: str) -> None:
    with pytest.raises(LgsfError, match=sentence) as caught:
        plan_of(tmp_path, methods=with_ranges(**ranges))
    assert "\n" not in str(caught.value)
    assert "small" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_choices_may_be_lists(tmp_path: Path) -> None:
    plan = read_plan(plan_of(tmp_path, methods=with_ranges(**{"training.decay_epochs": {"choices": [[], [1]]}})))
    assert plan.configured["training.decay_epochs"] == []


def test_a_broken_plan_is_one_sentence(tmp_path: Path) -> None:
    path = plan_of(tmp_path)
    raw = json.loads(path.read_text())
    write_json(path, {**raw, "ranges": {}})
    with pytest.raises(LgsfError, match=r"plan.json: ranges: .*at least 1"):
        read_plan(path)
    path.write_text("{")
    with pytest.raises(LgsfError, match="is not valid JSON"):
        read_plan(path)


@pytest.mark.parametrize("name", ["config", "smoke", "flickr8k", "flickr30k", "coco", "factorial", "triangle"])
def test_every_method_of_every_config_can_be_tuned(repository: Path, name: str) -> None:
    raw = yaml.safe_load((repository / "config/config.yaml").read_text())
    config = Config.parse(deep_merge(raw, yaml.safe_load((repository / f"config/{name}.yaml").read_text())))
    for method in config.methods:
        plan = parse_plan(config.tuning_settings(config.run.datasets[0], method), source=name)
        assert plan.shared == ("training.learning_rate",)
        assert plan.ranges.keys() >= set(plan.shared)


def test_an_arm_is_not_tuned_back_to_what_it_leaves_out(repository: Path) -> None:
    config = Config.parse(yaml.safe_load((repository / "config/config.yaml").read_text()))
    whole = set(config.ranges_of("lgsf"))
    assert "parameters.triangle.weight" in whole
    assert {name: sorted(whole - set(config.ranges_of(name))) for name in ("no_gat", "no_interaction", "base")} == {
        "no_gat": [],
        "no_interaction": ["parameters.interaction.start"],
        "base": ["parameters.interaction.start", "parameters.triangle.weight"],
    }


def test_ranges_change_no_run() -> None:
    with_, without = raw_config(), raw_config(tuning={}, methods=with_ranges())
    for method in ("small", "wide"):
        assert Config.parse(with_).run_settings("tiny", method) == Config.parse(without).run_settings("tiny", method)
