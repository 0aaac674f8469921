"""A user's mistakes: one sentence that says what to do, a failed exit, no traceback, nothing left behind."""

from __future__ import annotations

import pytest

from tests.workflow.conftest import SMOKE, Outcome, Overlay, Tree


def sentence(outcome: Outcome) -> str:
    """The one line of an outcome that speaks of the error; there must be no other noise."""
    assert outcome.code != 0
    assert "Traceback" not in outcome.text
    (line,) = (line for line in outcome.text.splitlines() if "rror" in line)
    return line


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("methodes: {}", ["unknown key 'methodes'"]),
        ("training: {epoch: 3}", ["unknown key 'training.epoch'"]),
        ("training: {epochs: many}", ["training.epochs", "integer", "'many'"]),
        ("training: {learning_rate: 5e-4}", ["line 1: training.learning_rate: 5e-4", "a number", "write 5.0e-4"]),
        ("training:\n  epochs: 1\n  epochs: 2", ["line 3: the key 'training.epochs' stands in line 2 already"]),
        ("training: {clip_norm: no}", ["line 1: training.clip_norm: no is a truth value"]),
        ("\ntraining: {epochs: 0}", ["training.epochs", "overlay.yaml, line 2)."]),
        (
            "methods: {lgsf: {parameters: {graph: {head: 4}}}}",
            ["'methods.lgsf.parameters.graph.head'", "heads", "line 1"],
        ),
        ("datasets: {mine: {path: data/x}}", ["key 'datasets.mine.source' is missing"]),
        ("datasets: {mine: {source: precomp, path: 'data/{x}'}}", ["datasets.mine", "{ and }", "Snakemake"]),
        ("datasets: {mine: {source: precomp, path: 'data/<x>'}}", ["datasets.mine", "< and >", "Snakemake"]),
        ("run: {seeds: 0}", ["run.seeds: a list is needed"]),
        ("threads: 1000", ["threads", "256"]),
        ("methods: {no_gat: {training: {epoch: 3}}}", ["methods.no_gat.training", "epoch"]),
        ("methods: {'my method': {extends: lgsf}}", ["methods", "small letters", "'my method'"]),
        ('methods: {"it\'s": {extends: lgsf}}', ["methods", "small letters", "it's"]),
        ("methods: {'a;b': {extends: lgsf}}", ["methods", "small letters", "'a;b'"]),
        ("run: {methods: [lgsf, nothing]}", ["run.methods", "'nothing'", "not defined"]),
        ("run: {seeds: [0, 0]}", ["run.seeds", "twice"]),
        ("datasets: {scenes: {source: nowhere}}", ["datasets.scenes", "'nowhere'"]),
        ("methods: {oracle: {extends: lgsf}}", ["methods.oracle", "control"]),
        ("ensembles: {e: {members: [lgsf, nothing]}}", ["ensembles.e.members", "'nothing'", "not a method"]),
        ("methods: {lgsf: {published: lgfs}}", ["published of 'lgsf'", "'lgfs'", "config/published.csv", "known are"]),
        ("methods: {vsepp: {model: 'baselines.vsep:VSEPP'}}", ["methods.vsepp.model", "'baselines.vsep'", "spelling"]),
        ("methods: {lgsf: {model: 'lgsf.models.lgsf:LGFS'}}", ["methods.lgsf.model", "'LGFS'", "spelling"]),
        ("pathvars: {result: elsewhere}", ["pathvars", "result"]),
    ],
)
def test_config(tree: Tree, overlay: Overlay, change: str, words: list[str]) -> None:
    before = tree.files()
    line = sentence(tree.snakemake("--cores", "1", *overlay(change)))
    assert line.startswith(("Error in the configuration: ", "Error in /")) and line.endswith(".")
    for word in words:
        assert word in line
    assert tree.files() == before


LACKING = {
    "pack": (
        "datasets: {nopack: {source: precomp, path: data/is_not_here}}\nrun: {datasets: [nopack], controls: [random]}\n",
        ["datasets.nopack: the folder data/is_not_here is missing", "name its place in the configuration"],
    ),
    "words": (
        "methods: {vsepp: {parameters: {word_vectors: data/glove.txt}}}\n",
        ["methods.vsepp.parameters.word_vectors: data/glove.txt is missing"],
    ),
    "import": (
        "imports: {mine: {kind: scores, test: data/mine.npy}}\nrun: {methods: [vsepp, mine], reference: vsepp}\n",
        ["imports.mine.test: data/mine.npy is missing: put it there"],
    ),
    "checkpoint": (
        "imports: {scan_authors: {kind: checkpoint, method: scan, checkpoint: data/best.pth.tar, vocab: data/words.json}}\n"
        "run: {methods: [vsepp, scan_authors], reference: vsepp}\n",
        ["imports.scan_authors.checkpoint: data/best.pth.tar is missing"],
    ),
    "run": (
        "imports: {mine: {kind: run, path: results/smoke/scenes/mine/seed0}}\n"
        "run: {methods: [vsepp, mine], reference: vsepp}\n",
        ["imports.mine.path: results/smoke/scenes/mine/seed0/run.json is missing"],
    ),
    "encoder": (
        "zero_shot: {clip: {model: data/models/clip}}\nrun: {zero_shot: [clip]}\n",
        ["zero_shot.clip.model: data/models/clip is missing"],
    ),
}


@pytest.mark.parametrize(
    ("kind", "options"), [*((kind, ("--dry-run",)) for kind in LACKING), ("pack", ("--cores", "1"))]
)
def test_what_is_missing_is_found_before_anything_starts(
    tree: Tree, overlay: Overlay, kind: str, options: tuple[str, ...]
) -> None:
    text, words = LACKING[kind]
    before = tree.files()
    line = sentence(tree.snakemake(*options, *overlay(text)))
    assert line.startswith("Error: ") and line.endswith(".")
    for word in words:
        assert word in line
    assert tree.files() == before


def test_what_is_not_asked_for_may_be_missing(tree: Tree, overlay: Overlay) -> None:
    assert tree.plan("resources/smoke/scenes/dataset.json", *overlay(LACKING["import"][0])).jobs == {"prepare": 1}
    assert tree.plan("partial_report", *overlay(LACKING["pack"][0])).jobs == {"partial_report": 1}


def test_numbers_inside_arguments_are_numbers(tree: Tree) -> None:
    outcome = tree.plan(*SMOKE, "--config", "run={seeds: [4], methods: [vsepp], reference: vsepp}", "title='12'")
    assert outcome.trained == {("vsepp", 4)}
    line = sentence(tree.snakemake("--dry-run", *SMOKE, "--config", "run={seeds: [4, 4]}"))
    assert "run.seeds: 4 is listed twice" in line and "--config run" in line


def test_runs_of_another_experiment_are_not_replaced_without_a_word(finished: Tree, overlay: Overlay) -> None:
    other = overlay("experiment: other\ntraining: {epochs: 1}\nrun: {methods: [vsepp], reference: vsepp}\n")
    line = sentence(finished.snakemake("--dry-run", *other))
    for words in ("scenes/vsepp holds 2 runs of experiment 'smoke' (seed0, seed1)", "training.epochs 2 -> 1",
                  "'other' would train them anew", "replace_runs: true"):  # fmt: skip
        assert words in line
    assert finished.plan(*other, "--config", "replace_runs=true").trained == {("vsepp", 0), ("vsepp", 1)}
    same = overlay("experiment: other\nrun: {methods: [vsepp], reference: vsepp}\n")
    assert not finished.plan(*same).trained  # with equal settings they are shared
    elsewhere = (*other, "--config", "pathvars={results: results/other}")
    assert finished.plan(*elsewhere).trained == {("vsepp", 0), ("vsepp", 1)}
