"""A rerun follows what changed and nothing else: the jobs that an edit repeats after a finished smoke run."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.workflow.conftest import SMOKE, Overlay, Tree

METHODS = ("lgsf", "no_gat", "vsepp")
SEEDS = (0, 1)

REPORT = {"report": 1}
COMPARE = {"compare": 1, **REPORT}
TABLES = {"table": 1, "album": 1, **COMPARE}
ENSEMBLE = {"ensemble": 2, **TABLES}
RANKS = {"evaluate": 6, "control": 6, **ENSEMBLE}
# Per row: the files that are edited at once, and all jobs that this repeats. Each file alone would repeat them, too:
# it stands among the reasons of some job.
EDITS = {
    "nothing: sections of the config file, another source, what another target runs": (
        [
            "lgsf/config/file.py",
            "lgsf/config/methods.py",
            "lgsf/config/study.py",
            "lgsf/data/precomp/settings.py",
            "lgsf/data/precomp/prepare.py",
            "lgsf/evaluation/transductive.py",
            "lgsf/tuning/trials.py",
            "lgsf/config/tuning.py",
            "lgsf/importing/scores.py",
            "lgsf/importing/configured.py",
            "lgsf/pretrained/absent.py",
            "lgsf/training/progress.py",
            "lgsf/cli.py",
            "lgsf/verbs/runs.py",
            "lgsf/api/exports.py",
            "lgsf/api/run.py",
            "lgsf/sharing/push.py",
            "lgsf/__main__.py",
        ],
        {},
    ),
    "the report: its sections, printers and templates": (
        [
            "lgsf/report/page.py",
            "lgsf/report/sections/cost.py",
            "lgsf/report/templates/page.html.j2",
            "lgsf/report/templates/sections/section.html.j2",
            "lgsf/render/flow.py",
            "lgsf/render/plots.py",
            "lgsf/gallery/show.py",
        ],
        REPORT,
    ),
    "the verdict: the claim's wording, the rule, published numbers": (
        [
            "lgsf/verdict/claim.py",
            "lgsf/verdict/rule.py",
            "config/published.csv",
            "config/published_sources.csv",
            "config/published_spread.csv",
        ],
        COMPARE,
    ),
    "the gallery": (["lgsf/gallery/collect.py"], {"album": 1, **REPORT}),
    "the tables: their printers, the factorial": (
        ["lgsf/render/latex.py", "lgsf/tables/printed.py", "lgsf/tables/write.py", "lgsf/config/factorial.py"],
        TABLES,
    ),
    "how a metric is called, and where it stands": (["lgsf/metrics/names.py"], TABLES),
    "the averaging": (["lgsf/evaluation/ensemble.py"], ENSEMBLE),
    "the positives of COCO": (["lgsf/data/coco_positives.py"], RANKS),
    "a part of LGSF": (["lgsf/models/graph/gat.py"], {"configure": 2, "train": 4, "evaluate": 4, **ENSEMBLE}),
    "a baseline": (["baselines/vsepp.py"], {"configure": 1, "train": 2, "evaluate": 2, **TABLES}),
    "the training": (["lgsf/training/train.py"], {"train": 6, "evaluate": 6, **ENSEMBLE}),
    "a source of data": (
        ["lgsf/data/scenes/settings.py", "lgsf/data/scenes/prepare.py"],
        {"prepare": 1, "train": 6, **RANKS},
    ),
}


@pytest.mark.parametrize(("files", "jobs"), EDITS.values(), ids=EDITS)
def test_an_edit_repeats(finished: Tree, files: list[str], jobs: dict[str, int]) -> None:
    with ExitStack() as edits:
        for name in files:
            edits.enter_context(finished.edited(name))
        outcome = finished.plan("--quiet", "host", *SMOKE)
    assert dict(outcome.jobs) == jobs
    reasons = "".join(line for line in outcome.text.splitlines() if "Updated input files" in line)
    assert {name for name in files if name in reasons} == (set(files) if jobs else set())


def test_touching_every_source_repeats_nothing(finished: Tree) -> None:
    for path in (finished.root / "lgsf").rglob("*.py"):
        os.utime(path)
    assert not finished.plan(*SMOKE).jobs


def both_seeds(*methods: str) -> set[tuple[str, int]]:
    return {(method, seed) for method in methods for seed in SEEDS}


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
        ("processes: 2", both_seeds(*METHODS)),
        ("memory_mb: 64", set()),
        ("run: {seeds: [1]}", set()),
    ],
)
def test_a_setting_trains_what_it_reaches(
    finished: Tree, overlay: Overlay, change: str, trained: set[tuple[str, int]]
) -> None:
    assert finished.plan(*overlay(change)).trained == trained


@pytest.mark.parametrize(
    ("change", "jobs"),
    [
        ("title: Another title", TABLES),
        ("ensembles: {pair: {title: Two arms}}", TABLES),
        ("methods: {no_gat: {title: Arm}}", TABLES),
        ("methods: {lgsf: {choices: {margin: because}}}", REPORT),
        ("tuning: {trials: 5}", {}),
        ("transductive: {batch_size: 7}", {}),
        ("datasets: {pack: {source: precomp, path: nowhere}}", {}),
    ],
)
def test_words_and_what_is_not_run_train_nothing(
    finished: Tree, overlay: Overlay, change: str, jobs: dict[str, int]
) -> None:
    assert dict(finished.plan(*overlay(change)).jobs) == jobs


def test_what_a_text_encoder_starts_from_is_watched(finished: Tree, overlay: Overlay, tmp_path: Path) -> None:
    vectors = tmp_path / "vectors.txt"
    options = overlay(f"methods: {{vsepp: {{parameters: {{word_vectors: {vectors}}}}}}}")
    by_time = ("--rerun-triggers", "mtime")  # else the changed parameter alone would train again
    missing = finished.snakemake("--dry-run", *by_time, *options)  # which the runs that are there were made without
    assert missing.code == 1 and f"word_vectors: {vectors} is missing" in missing.text
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
