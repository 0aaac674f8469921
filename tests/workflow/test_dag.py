"""What is planned, and what is planned again after a change: exactly what the change can reach."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.workflow.conftest import SMOKE, Overlay, Tree

METHODS = {"lgsf", "no_gat", "vsepp"}
ALL_SEEDS = (0, 1)


def both_seeds(*methods: str) -> set[tuple[str, int]]:
    return {(method, seed) for method in methods for seed in ALL_SEEDS}


@pytest.mark.parametrize("options", [(), ("--snakefile", "workflow/Snakefile")], ids=["bare", "catalogue"])
def test_bare_command_plans_and_loads_the_profile(tree: Tree, options: tuple[str, ...]) -> None:
    outcome = tree.plan(*options)
    assert "workflow specific profile profiles/default" in outcome.text
    assert outcome.jobs["report"] == 1
    assert outcome.jobs["train"] == outcome.jobs["evaluate"] == len(outcome.trained) > 0


def test_profile_beside_the_workflow_is_the_same(tree: Tree) -> None:
    assert (tree.root / "profiles").resolve() == (tree.root / "workflow/profiles").resolve()
    assert (tree.root / "workflow/profiles/default/profile.yaml").is_file()


@pytest.mark.parametrize("name", ["flickr8k", "flickr30k", "coco", "factorial", "triangle"])
def test_every_config_plans_without_its_data(tree: Tree, name: str) -> None:
    outcome = tree.plan("--configfile", f"config/{name}.yaml")
    assert outcome.jobs["prepare"] == 1 and outcome.jobs["train"] > 0


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


def test_editing_the_averaging_ranks_the_ensembles_again_and_trains_nothing(finished: Tree) -> None:
    with finished.edited("lgsf/evaluation/ensemble.py"):
        outcome = finished.plan(*SMOKE)
    assert outcome.jobs["ensemble"] == 2 and not outcome.trained and not outcome.jobs["evaluate"]


def test_the_transductive_target_takes_arms_with_an_interaction_and_ranks_nothing_else(
    tree: Tree, overlay: Overlay
) -> None:
    change = "run: {methods: [lgsf, no_interaction, vsepp, pair]}\ntransductive: {batch_size: 7}\n"
    outcome = tree.plan("transductive", "--printshellcmds", *overlay(change))
    assert outcome.trained == both_seeds("lgsf")
    assert outcome.jobs["diagnose_interaction"] == 2 and outcome.jobs["transductive"] == 1
    assert not outcome.jobs["evaluate"] and not outcome.jobs["report"]
    assert outcome.text.count("--batch-size 7 ") == 2


def test_touching_every_source_changes_nothing(finished: Tree) -> None:
    for path in (finished.root / "lgsf").rglob("*.py"):
        os.utime(path)
    assert not finished.plan(*SMOKE).jobs


def test_editing_the_report_trains_nothing(finished: Tree) -> None:
    with finished.edited("lgsf/report/page.py"):
        assert dict(finished.plan(*SMOKE).jobs) == {"report": 1}


def test_editing_a_template_renders_only(finished: Tree) -> None:
    template = sorted((finished.root / "lgsf/report/templates").glob("*.j2"))[0]
    with finished.edited(str(template.relative_to(finished.root))):
        assert dict(finished.plan(*SMOKE).jobs) == {"report": 1}


@pytest.mark.parametrize("name", ["published", "published_sources", "published_spread"])
def test_editing_the_published_numbers_judges_and_renders(finished: Tree, name: str) -> None:
    with finished.edited(f"config/{name}.csv"):
        assert dict(finished.plan(*SMOKE).jobs) == {"compare": 1, "report": 1}


def test_editing_the_graph_trains_what_uses_it(finished: Tree) -> None:
    with finished.edited("lgsf/models/gat.py"):
        outcome = finished.plan(*SMOKE)
    assert outcome.trained == both_seeds("lgsf", "no_gat")
    assert outcome.jobs["prepare"] == 0 and outcome.jobs["control"] == 0


def test_editing_a_baseline_trains_it_alone(finished: Tree) -> None:
    with finished.edited("baselines/vsepp.py"):
        assert finished.plan(*SMOKE).trained == both_seeds("vsepp")


def test_editing_the_loop_trains_all_and_prepares_nothing(finished: Tree) -> None:
    with finished.edited("lgsf/training/train.py"):
        outcome = finished.plan(*SMOKE)
    assert outcome.trained == both_seeds(*METHODS)
    assert outcome.jobs["prepare"] == 0


def test_editing_one_reader_prepares_its_datasets_alone(finished: Tree) -> None:
    with finished.edited("lgsf/data/precomp/prepare.py"):
        assert not finished.plan(*SMOKE).jobs
    with finished.edited("lgsf/data/scenes/prepare.py"):
        assert finished.plan(*SMOKE).jobs["prepare"] == 1


def test_editing_the_command_line_repeats_nothing(finished: Tree) -> None:
    with finished.edited("lgsf/cli.py"):
        assert not finished.plan(*SMOKE).jobs


@pytest.mark.parametrize(
    ("change", "trained"),
    [
        ("methods: {no_gat: {parameters: {margin: 0.3}}}", both_seeds("no_gat")),
        ("methods: {no_gat: {training: {epochs: 3}}}", both_seeds("no_gat")),
        ("methods: {lgsf: {parameters: {margin: 0.3}}}", both_seeds("lgsf", "no_gat")),
        ("run: {seeds: [0, 1, 7]}", {(method, 7) for method in METHODS}),
        ("run: {methods: [lgsf, no_gat, vsepp, base]}", both_seeds("base")),
        ("training: {epochs: 3}", both_seeds(*METHODS)),
        ("threads: 2", both_seeds(*METHODS)),
        ("memory_mb: 64", set()),
        ("run: {seeds: [1]}", set()),
        ("title: Another title", set()),
    ],
)
def test_changing_the_config_trains_what_it_reaches(
    finished: Tree, overlay: Overlay, change: str, trained: set[tuple[str, int]]
) -> None:
    assert finished.plan(*overlay(change)).trained == trained


def test_what_a_text_encoder_starts_from_is_watched(finished: Tree, overlay: Overlay, tmp_path: Path) -> None:
    vectors = tmp_path / "vectors.txt"
    options = overlay(f"methods: {{vsepp: {{parameters: {{word_vectors: {vectors}}}}}}}")
    by_time = ("--rerun-triggers", "mtime")  # else the changed parameter alone would train again
    assert not finished.plan(*by_time, *options).jobs  # that the file is missing is for the training to say
    vectors.write_text("a 0 0\n")
    os.utime(vectors, (0, 0))
    assert not finished.plan(*by_time, *options).jobs
    os.utime(vectors)
    assert finished.plan(*by_time, *options).trained == both_seeds("vsepp")


def test_deleted_weights_are_not_missed(finished: Tree) -> None:
    weights = finished.root / "results/smoke/scenes/lgsf/seed0/model.safetensors"
    aside = weights.with_suffix(".aside")
    weights.rename(aside)
    try:
        assert not finished.plan(*SMOKE).jobs
        with finished.edited("lgsf/tables/write.py"):
            assert not finished.plan(*SMOKE).trained
    finally:
        aside.rename(weights)


def test_lint_and_format_are_clean(tree: Tree) -> None:
    assert "good condition" in (outcome := tree.snakemake("--lint")).text, outcome.text
    outcome = tree.run("-m", "snakefmt", "--check", "Snakefile", "workflow")
    assert outcome.code == 0, outcome.text
