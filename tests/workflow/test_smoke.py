"""The smoke test from end to end: every rule, a report, and nothing left to do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from lgsf.system.files import read_object
from tests.workflow.conftest import SMOKE, Outcome, Overlay, Tree

REPORT = "reports/smoke/index.html"


def test_runs_every_rule(first_run: tuple[Tree, Outcome]) -> None:
    tree, outcome = first_run
    assert outcome.code == 0, outcome.text
    rules = {"configure", "prepare", "train", "evaluate", "ensemble", "control", "table", "album", "compare", "report"}
    assert set(outcome.jobs) == rules
    page = (tree.root / REPORT).read_text()
    assert "LGSF with and without GAT (ensemble)" in page
    assert "Smoke test" in page and "LGSF" in page
    assert "Graph attention of LGSF, seed 0" in page and "data:image/webp;base64," in page


def test_says_how_each_training_ended(first_run: tuple[Tree, Outcome]) -> None:
    _, outcome = first_run
    lines = [line for line in outcome.text.splitlines() if "dev rSum" in line]
    assert len(lines) == outcome.jobs["train"] == 6
    for method, seed in outcome.trained:
        assert any(line.startswith(f"scenes/{method} seed {seed}: done in") for line in lines)


def test_names_the_report_at_the_end(first_run: tuple[Tree, Outcome]) -> None:
    assert f"Report: {REPORT}" in first_run[1].text.splitlines()[-4:]


def test_keeps_apart_from_real_results(tree: Tree, finished: Tree) -> None:
    made = {Path(name) for name in finished.files() - tree.files()}
    assert {path.parts[:2] for path in made} == {(f, "smoke") for f in ("results", "resources", "logs", "reports")}


def test_second_run_has_nothing_to_do(finished: Tree) -> None:
    outcome = finished.snakemake("--cores", "2", *SMOKE)
    assert outcome.code == 0
    assert "Nothing to be done" in outcome.text
    assert not outcome.jobs


def test_every_job_leaves_a_log_and_a_benchmark(finished: Tree) -> None:
    logs = finished.root / "logs/smoke"
    for name in ("scenes/prepare", "scenes/lgsf/configure", "scenes/lgsf/seed0/train", "scenes/vsepp/seed1/evaluate"):
        assert (logs / f"{name}.log").is_file(), name
        assert (logs / "benchmarks" / f"{name}.tsv").read_text().startswith("s\t"), name
    assert "epoch 2/2" in (logs / "scenes/lgsf/seed0/train.log").read_text()


def test_run_carries_its_settings(finished: Tree) -> None:
    results = finished.root / "results/smoke/scenes/no_gat"
    settings = read_object(results / "config.json", hint="")
    run = json.loads((results / "seed1/run.json").read_text())
    assert settings["parameters"]["graph"]["kind"] == "none"
    assert run["config"] == settings
    assert run["seed"] == 1


def test_snakemake_report(finished: Tree, tmp_path: Path) -> None:
    outcome = finished.snakemake("--report", tmp_path / "report.html", *SMOKE)
    assert outcome.code == 0, outcome.text
    text = (tmp_path / "report.html").read_text()
    assert "Differences to the reference method" in text and "Comparison" in text


def test_partial_report_of_the_runs_that_exist(finished: Tree) -> None:
    results = finished.root / "results/smoke/scenes"
    shutil.move(results / "vsepp/seed1", results / "aside")
    try:
        outcome = finished.snakemake("--cores", "1", "partial_report", *SMOKE)
        assert outcome.code == 0, outcome.text
        assert not outcome.trained
        page = (finished.root / "reports/smoke/partial/index.html").read_text()
        assert "missing" in page
    finally:
        shutil.move(results / "aside", results / "vsepp/seed1")


def test_one_failure_stops_only_what_needs_it(finished: Tree, overlay: Overlay) -> None:
    options = overlay(
        "methods: {broken: {extends: lgsf, parameters: {graph: {heads: 0}}}}\n"
        "run: {methods: [broken, vsepp], seeds: [2], controls: []}\n"
    )
    outcome = finished.snakemake("--cores", "2", *options)
    assert outcome.code == 1
    assert outcome.trained == {("vsepp", 2)}
    assert (finished.root / "results/smoke/scenes/vsepp/seed2/test/ranks.npz").is_file()
    assert "Target partial_report" in outcome.text
    assert "lgsf: error: " in outcome.text and "graph.heads" in outcome.text
    assert not (finished.root / "results/smoke/scenes/broken").exists()
