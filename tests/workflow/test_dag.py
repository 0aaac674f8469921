"""What is planned for each target and configuration; what an edit repeats is in test_reruns.py."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lgsf.config.file import Config
from lgsf.config.study import Study
from tests.workflow.conftest import SMOKE, Overlay, Tree


@pytest.mark.parametrize("options", [(), ("--snakefile", "workflow/Snakefile")], ids=["bare", "catalogue"])
def test_bare_command_plans_and_loads_the_profile(tree: Tree, options: tuple[str, ...]) -> None:
    outcome = tree.plan(*options)
    assert "workflow specific profile profiles/default" in outcome.text
    assert outcome.jobs["report"] == 1
    assert outcome.jobs["train"] == outcome.jobs["evaluate"] == len(outcome.trained) > 0


def test_profile_beside_the_workflow_is_the_same(tree: Tree) -> None:
    assert (tree.root / "profiles").resolve() == (tree.root / "workflow/profiles").resolve()
    assert (tree.root / "workflow/profiles/default/profile.yaml").is_file()


@pytest.mark.parametrize(
    "name", ["flickr8k", "flickr30k", "coco", "own", "factorial", "triangle", "control", "everything"]
)
def test_every_config_asks_for_its_data_and_plans_with_it(tree: Tree, name: str) -> None:
    options = ("--configfile", f"config/{name}.yaml")
    study = Study(Config.read([tree.root / "config/config.yaml", tree.root / options[1]]))
    wanted = [tree.root / file for dataset in study.config.run.datasets for file in study.required_files(dataset)]
    if wanted:
        outcome = tree.snakemake("--dry-run", *options)
        (line,) = (line for line in outcome.text.splitlines() if "rror" in line)
        assert outcome.code == 1 and line.startswith("Error: datasets.") and line.endswith(".") and not outcome.jobs
    before = tree.files()
    for file in wanted:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    try:
        outcome = tree.plan(*options)
    finally:
        for file in wanted:
            file.unlink()
    assert outcome.jobs["prepare"] == 1 and outcome.jobs["train"] > 0
    assert tree.files() == before


def test_folders_of_the_configuration_are_the_paths_that_are_meant(
    tree: Tree, overlay: Overlay, tmp_path: Path
) -> None:
    change = "pathvars: {results: ~/results/, resources: ~/data, logs: ~//logs}\n"
    outcome = tree.snakemake("--dry-run", "--printshellcmds", *overlay(change), env={"HOME": str(tmp_path)})
    assert outcome.code == 0, outcome.text
    assert "~" not in outcome.text
    assert f"--dataset {tmp_path}/data/scenes --seed 0 --out {tmp_path}/results/scenes/lgsf/seed0 " in outcome.text


def test_targets(tree: Tree) -> None:
    assert {method for method, _ in tree.plan("ablations", *SMOKE).trained} == {"lgsf", "no_gat"}
    assert {method for method, _ in tree.plan("baselines", *SMOKE).trained} == {"vsepp"}
    assert tree.plan("tables", *SMOKE).jobs["report"] == 0
    assert tree.plan("report", *SMOKE).jobs["report"] == 1
    assert set(tree.plan("partial_report", *SMOKE).jobs) == {"partial_report"}


def test_members_of_an_ensemble_are_planned_whether_listed_or_not(tree: Tree, overlay: Overlay) -> None:
    change = (
        "run: {methods: [vsepp, two, scan], seeds: [0, 3], reference: vsepp}\n"
        "ensembles: {two: {members: [vsepp, vsepp]}}\n"
    )
    outcome = tree.plan(*overlay(change))
    assert outcome.jobs["ensemble"] == 4
    vsepp = {("vsepp", seed) for seed in (0, 1, 3, 6, 7)}  # 2k and 2k + 1, beside its own seeds
    assert outcome.trained == vsepp | {(name, seed) for name in ("scan_t2i_mean", "scan_i2t") for seed in (0, 3)}
    evaluated = set(re.findall(r"Rank with (\w+) on \w+, seed (\d)", outcome.text))
    assert evaluated == {("vsepp", "0"), ("vsepp", "3")}  # members that nobody lists are not ranked alone


def test_the_transductive_target_takes_arms_with_an_interaction_and_ranks_nothing_else(
    tree: Tree, overlay: Overlay
) -> None:
    change = "run: {methods: [lgsf, no_interaction, vsepp, pair]}\ntransductive: {batch_size: 7}\n"
    outcome = tree.plan("transductive", "--printshellcmds", *overlay(change))
    assert outcome.trained == {("lgsf", 0), ("lgsf", 1)}
    assert outcome.jobs["diagnose_interaction"] == 2 and outcome.jobs["transductive"] == 1
    assert not outcome.jobs["evaluate"] and not outcome.jobs["report"]
    assert outcome.text.count("--batch-size 7 ") == 2


def test_lint_and_format_are_clean(tree: Tree) -> None:
    assert "good condition" in (outcome := tree.snakemake("--lint")).text, outcome.text
    outcome = tree.run("-m", "snakefmt", "--check", "Snakefile", "workflow")
    assert outcome.code == 0, outcome.text
