"""The workflow from elsewhere: another directory, a module of a workflow, an installed wheel; conda is in test_conda."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.support import python_server
from tests.workflow.conftest import SMALL, Tree, clean_environment, copy_repository

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


# In one process, for time: every verb explains itself, every module that was packed can be imported, and the verbs
# that a person calls by hand do their work on what the workflow left.
BY_HAND = """\
import importlib, pkgutil, sys
from contextlib import redirect_stdout, suppress
from io import StringIO
import baselines, lgsf, lgsf.cli

for package in (lgsf, baselines):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if module.name != "lgsf.__main__":
            importlib.import_module(module.name)
for name in lgsf.cli.ORDER:
    said = StringIO()
    with redirect_stdout(said), suppress(SystemExit):
        lgsf.cli.main([name, "--help"])
    assert name in said.getvalue(), name
run, data = "results/smoke/scenes/lgsf/seed0", "resources/smoke/scenes"
for command in (
    ["inspect", data],
    ["verify", "--report", "reports/smoke", "--results", "results/smoke", "--dataset", data],
    ["compare", "--results", "results/smoke", "--dataset-name", "scenes"],
    ["convert", "--source", data, "--out", "pack"],
    ["control", "--kind", "random", "--dataset", data, "--seed", "1", "--out", "control/seed1"],
    ["export-curves", run, "--format", "csv", "--out", "curves"],
    ["push-to-hub", run, "--dataset", data, "--repo", "some/body", "--card", "card.md"],
    ["schema", "--out", "schema.json"],
):
    lgsf.cli.main(command)
print(len(lgsf.cli.ORDER), "verbs of", lgsf.__file__)
"""


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


def test_from_a_wheel(repository: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec("setuptools") is None:
        pytest.skip("building a wheel needs setuptools")
    python = environment_with_wheel(repository, tmp_path)

    def run(*command: str | Path, cwd: Path = tmp_path) -> str:
        path = os.pathsep.join([str(python.parent), os.environ["PATH"]])
        environment = clean_environment() | {"PATH": path} | python_server.environment(str(python))
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    lgsf = python.with_name("lgsf")
    assert "published rows" in run(lgsf, "published")
    run(lgsf, "deploy", "study")
    study = tmp_path / "study"
    (study / "small.yaml").write_text(SMALL)
    smoke = ("--configfile", "config/smoke.yaml", "small.yaml")
    assert "Using workflow specific profile" in run(python, "-m", "snakemake", "--cores", "2", *smoke, cwd=study)
    assert (study / "reports/smoke/index.html").is_file()
    assert "Nothing to be done" in run(python, "-m", "snakemake", "--cores", "2", *smoke, cwd=study)

    (study / "by_hand.py").write_text(BY_HAND)
    assert str(python.parents[1]) in run("bash", "-c", "python by_hand.py", cwd=study)
    cells = (repository / "tests/support/notebook.py", repository / "docs/retrieval.ipynb")
    notebook = run("bash", "-c", 'python "$@"', "python", *cells, cwd=study)
    assert "image/jpeg" in notebook

    # Rules that are fetched from a repository, as snakedeploy writes it, call the package that is installed.
    commit_all(tmp_path / "source")
    fetched = f"git+file://{tmp_path}/source/workflow/Snakefile@main"
    (study / "Snakefile").write_text(MODULE.format(snakefile=fetched))
    assert "Nothing to be done" in run(python, "-m", "snakemake", "--dry-run", *smoke, cwd=study)


def commit_all(folder: Path) -> None:
    """Make a repository with one commit of everything in `folder`."""
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], [*identity, "commit", "-q", "-m", "all"]):
        subprocess.run(["git", *command], cwd=folder, check=True)


def environment_with_wheel(repository: Path, folder: Path) -> Path:
    """The Python of an environment that has the wheel and, from this Python, what the wheel needs."""
    source = copy_repository(repository, folder / "source").root
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    offline = ("--no-deps", "--no-index")
    subprocess.run([*pip, "wheel", *offline, "--no-build-isolation", "-w", folder, source], check=True)
    (wheel,) = folder.glob("*.whl")
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert tops == {"lgsf", "baselines", f"{wheel.stem.rsplit('-', 3)[0]}.dist-info"}

    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    python = folder / "venv/bin/python"
    (site,) = (folder / "venv").glob("lib/python*/site-packages")
    # A path in a .pth file: packages there are seen, its own .pth files, an editable install among them, are not.
    (site / "needs.pth").write_text(sysconfig.get_path("purelib") + "\n")
    subprocess.run([*pip, "--python", python, "install", *offline, "--ignore-installed", wheel], check=True)
    return python
