"""Tuning as the workflow plans it: equal work for every method, before which every range is checked."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.workflow.conftest import SMOKE, Overlay, Tree

METHODS = ["lgsf", "no_gat", "vsepp"]


def test_plans_trials_for_every_method_and_nothing_on_test(tree: Tree) -> None:
    outcome = tree.plan("tune", *SMOKE)
    assert dict(outcome.jobs) == {"prepare": 1, "ranges": 3, "trials": 3, "tuned": 1}
    assert sorted(re.findall(r"Tune (\w+) on scenes", outcome.text)) == METHODS


def test_tunes_the_members_of_an_ensemble(tree: Tree, overlay: Overlay) -> None:
    options = overlay("ensembles: {both: {members: [lgsf, base]}}\nrun: {methods: [vsepp, lgsf, both]}\n")
    outcome = tree.plan("tune", *options)
    assert sorted(re.findall(r"Tune (\w+) on scenes", outcome.text)) == ["base", "lgsf", "vsepp"]


def test_ranges_and_budget_reach_no_training(finished: Tree, overlay: Overlay) -> None:
    options = overlay(
        "tuning: {trials: 5, ranges: {training.weight_decay: {low: 0.0, high: 0.1}}}\n"
        "methods: {lgsf: {ranges: {parameters.margin: {low: 0.1, high: 0.3}}}}\n"
    )
    assert not finished.plan(*options).jobs


@pytest.mark.slow
def test_tunes_and_runs_with_what_was_chosen(tree: Tree, overlay: Overlay) -> None:
    bad = overlay("methods: {vsepp: {ranges: {parameters.margn: {low: 0.1, high: 0.3}}}}\n")
    outcome = tree.snakemake("--cores", "2", "tune", *bad)
    assert outcome.code == 1 and "no setting 'parameters.margn'" in outcome.text
    assert not list((tree.root / "results").rglob("trial1"))  # nobody's trials begin

    outcome = tree.snakemake("--cores", "2", "tune", *SMOKE)
    assert outcome.code == 0, outcome.text
    assert "Report: " not in outcome.text  # there is none yet
    path = "results/smoke/tuned/smoke/scenes.yaml"
    chosen = yaml.safe_load((tree.root / path).read_text())
    assert sorted(chosen["methods"]) == METHODS
    assert {method["tuned"]["trials"] for method in chosen["methods"].values()} == {2}
    assert not list((tree.root / "results/smoke/scenes").rglob("*.safetensors"))

    outcome = tree.snakemake("--cores", "2", *SMOKE, path)
    assert outcome.code == 0, outcome.text
    assert len(outcome.trained) == 6 and outcome.jobs["prepare"] == 0
    tables = tree.root / "results/smoke/tuned/smoke/tables/smoke_tuned/comparison"
    rows = [line.split(" | ") for line in (tables / "summary.md").read_text().splitlines() if line.startswith("| ")]
    looks = {row[0].removeprefix("| "): row[-2] for row in rows}
    assert looks["LGSF"] == looks["VSE++"] == "6"  # 2 epochs, and 2 trials of 2 epochs
    assert looks["LGSF with and without GAT (ensemble)"] == "12"
    assert "How values were chosen" in (tree.root / "reports/smoke_tuned/index.html").read_text()
    assert not tree.snakemake("--dry-run", "tune", *SMOKE).jobs
