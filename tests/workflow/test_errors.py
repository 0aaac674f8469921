"""A user's mistakes: one sentence that says what to do, a failed exit, no traceback, nothing left behind."""

from __future__ import annotations

import pytest

from tests.workflow.conftest import Outcome, Overlay, Tree


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
        ("training: {learning_rate: 5e-4}", ["training.learning_rate", "number", "'5e-4'"]),
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
    assert line.startswith("Error in the configuration: ") and line.endswith(".")
    for word in words:
        assert word in line
    assert tree.files() == before


def test_missing_pack(tree: Tree, overlay: Overlay) -> None:
    options = overlay(
        "datasets: {nopack: {source: precomp, path: data/is_not_here}}\nrun: {datasets: [nopack], controls: [random]}\n"
    )
    before = tree.files()
    outcome = tree.snakemake("--cores", "1", "resources/smoke/nopack/dataset.json", *options)
    assert outcome.code != 0
    assert "Traceback" not in outcome.text
    lines = [line for line in outcome.text.splitlines() if "data/is_not_here" in line and "error" in line.lower()]
    assert lines and all(line.endswith(".") for line in lines), outcome.text
    left = {name for name in tree.files() - before if not name.startswith("logs/")}
    assert not left
