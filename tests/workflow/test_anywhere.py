"""The workflow from elsewhere: another directory, a module of a user's workflow; under conda see test_conda."""

from __future__ import annotations

from pathlib import Path

from tests.workflow.conftest import SMALL, Tree

# A user's own workflow: only what it names is there, one method of its own among it.
CONFIG = """\
experiment: own
run: {datasets: [drawn], methods: [mine], controls: [random], seeds: [0], reference: mine}
datasets: {drawn: {source: scenes, train: 16, dev: 8, test: 8, min_count: 1}}
training: {batch_size: 8, epochs: 1}
methods: {mine: {model: "mine:Mine", parameters: {embedding_dim: 16, word_dim: 16}}}
pathvars: {results: out/results, reports: out/reports}
"""
METHOD = "from baselines.vsepp import VSEPP\n\n\nclass Mine(VSEPP):\n    pass\n"
MODULE = """\
configfile: "config/config.yaml"

module lgsf:
    snakefile: {snakefile!r}
    config: config

use rule * from lgsf as lgsf_*
"""


def test_from_another_directory(tree: Tree, tmp_path: Path) -> None:
    before = tree.files()
    (tmp_path / "small.yaml").write_text(SMALL)
    smoke = ("--configfile", tree.root / "config/smoke.yaml", tmp_path / "small.yaml")
    place = ("--snakefile", tree.root / "workflow/Snakefile", "--directory", tmp_path / "study")
    outcome = Tree(tmp_path).snakemake("--cores", "2", *place, *smoke)
    assert outcome.code == 0, outcome.text
    assert "Report: reports/smoke/index.html" in outcome.text
    study = Tree(tmp_path / "study")
    assert (study.root / "reports/smoke/index.html").is_file()
    assert {Path(name).parts[0] for name in study.files()} == {"results", "resources", "logs", "reports"}
    assert tree.files() == before

    assert not Tree(tmp_path).plan(*place, *smoke).jobs
    with tree.edited("lgsf/verdict/claim.py"):
        assert dict(Tree(tmp_path).plan(*place, *smoke).jobs) == {"compare": 1, "report": 1}
    (study.root / "config").mkdir()
    for part in ("", "_sources", "_spread"):  # a user's own table takes the place of the checkout's
        text = (tree.root / f"config/published{part}.csv").read_text()
        (study.root / f"config/published{part}.csv").write_text(text)
    assert dict(Tree(tmp_path).plan(*place, *smoke).jobs) == {"compare": 1, "report": 1}


def test_as_a_module_with_its_own_configuration(tree: Tree, tmp_path: Path) -> None:
    before = tree.files()
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text(CONFIG)
    (tmp_path / "Snakefile").write_text(MODULE.format(snakefile=str(tree.root / "workflow/Snakefile")))
    (tmp_path / "mine.py").write_text(METHOD)
    own = Tree(tmp_path)
    outcome = own.snakemake("--cores", "2")
    assert outcome.code == 0, outcome.text
    assert (tmp_path / "out/reports/own/index.html").is_file()
    assert (tmp_path / "out/results/drawn/mine/seed0/test/ranks.npz").is_file()
    assert tree.files() == before

    assert not own.plan().jobs
    with own.edited("mine.py"):
        assert own.plan().trained == {("mine", 0)}
    with tree.edited("baselines/vsepp.py"):
        assert own.plan().trained == {("mine", 0)}
