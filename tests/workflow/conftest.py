"""One copy of the repository per session, in which the smoke test has run; tests edit it and put it back."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import python_server as python_processes
from tests.support import snakemake_server as server

SMOKE = ("--configfile", "config/smoke.yaml")
# Over the smoke test's: every rule once, for tests of where a workflow runs and not of what it finds.
SMALL = """\
run: {methods: [lgsf], seeds: [0], controls: [random], reference: lgsf}
datasets: {scenes: {train: 16, dev: 8, test: 8}}
training: {epochs: 1}
"""
Overlay = Callable[[str], tuple[str, ...]]


@dataclass(frozen=True)
class Outcome:
    """What a command said and how it ended."""

    code: int
    text: str

    @property
    def jobs(self) -> Counter[str]:
        """Planned jobs per rule, from the first table of job counts; targets are no jobs."""
        table = re.search(r"^job +count\n[- ]+\n(.*?)\n\n", self.text, re.DOTALL | re.MULTILINE)
        rows = (line.split() for line in table[1].splitlines()) if table else ()
        targets = {"total", "default", "all", "tables", "ablations", "baselines", "tune"}
        return Counter({name: int(count) for name, count in rows if name not in targets})

    @property
    def trained(self) -> set[tuple[str, int]]:
        """(method, seed) of the trainings that were planned or run."""
        return {(name, int(seed)) for name, seed in re.findall(r"Train (\w+) on \w+, seed (\d+)", self.text)}


@dataclass(frozen=True)
class Tree:
    """A working copy of the repository."""

    root: Path

    def run(self, *command: str | Path, env: dict[str, str] | None = None) -> Outcome:
        """Run a program of this Python in the copy; both of its outputs in one text."""
        done = subprocess.run(
            [sys.executable, *command],
            cwd=self.root,
            env=clean_environment() | (env or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Outcome(done.returncode, done.stdout)

    def forked(self, script: str | Path, *arguments: str | Path) -> Outcome:
        """`python SCRIPT ARGUMENTS` in the copy, with its code, as a fork of the server that has imported what it needs."""
        done = subprocess.run(
            ["bash", "-c", 'python "$@"', "python", script, *arguments],
            cwd=self.root,
            env=clean_environment() | python_processes.environment() | {"PYTHONPATH": str(self.root)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Outcome(done.returncode, done.stdout)

    def snakemake(self, *options: str | Path, env: dict[str, str] | None = None, python_server: bool = True) -> Outcome:
        """`snakemake` as a server runs it, and its jobs as another does (tests/support); `first_run` calls the real ones."""
        python = python_processes.environment() if python_server and "--dry-run" not in options else {}
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "out"
            code = server.snakemake(
                list(map(str, options)), cwd=self.root, env=clean_environment() | python | (env or {}), out=out
            )
            return Outcome(code, out.read_text())

    def plan(self, *options: str | Path) -> Outcome:
        """A dry run, which has to succeed."""
        outcome = self.snakemake("--dry-run", *options)
        assert outcome.code == 0, outcome.text
        return outcome

    @contextmanager
    def edited(self, name: str) -> Iterator[None]:
        """The file `name` with one more line that means nothing, as long as the block lasts."""
        path = self.root / name
        before = path.read_bytes()
        comment = {".j2": b"\n{# edited #}\n", ".csv": b"\n\n"}.get(path.suffix, b"\n# edited\n")
        path.write_bytes(before + comment)
        try:
            yield
        finally:
            path.write_bytes(before)

    def files(self) -> set[str]:
        """All files but Snakemake's own and byte code."""
        paths = (path.relative_to(self.root) for path in self.root.rglob("*") if path.is_file())
        return {str(path) for path in paths if not {".snakemake", "__pycache__"} & set(path.parts)}


def clean_environment() -> dict[str, str]:
    """This environment without what pytest or a surrounding Snakemake might have put into it; copies keep bytecode."""
    left = ("PYTEST", "SNAKEMAKE", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "OMP_")
    return {k: v for k, v in os.environ.items() if not k.startswith(left)}


def copy_repository(repository: Path, target: Path) -> Tree:
    """The files that git knows or would know, without history."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=repository,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listing.stdout.decode().split("\0")):
        source, copy = repository / name, target / name
        if source.is_symlink() or source.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy, follow_symlinks=False)
    return Tree(target)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share the copy in which the smoke test has run go to one worker: it runs once."""
    for item in items:
        if {"first_run", "finished"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group("finished"))


@pytest.fixture(scope="session")
def tree(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """A copy in which nothing has run."""
    return copy_repository(repository, tmp_path_factory.mktemp("tree"))


@pytest.fixture(scope="session")
def first_run(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tree, Outcome]:
    """A copy in which the smoke test ran once, and what it said.

    The command is the real one. Its jobs are forks; those of test_conda and of the wheel's test are real in all rules.
    """
    tree = copy_repository(repository, tmp_path_factory.mktemp("smoke"))
    return tree, tree.run("-m", "snakemake", "--cores", "2", *SMOKE, env=python_processes.environment())


@pytest.fixture(scope="session")
def finished(first_run: tuple[Tree, Outcome]) -> Tree:
    """The copy in which the smoke test has run."""
    tree, outcome = first_run
    assert outcome.code == 0, outcome.text
    return tree


@pytest.fixture
def overlay(tmp_path: Path) -> Overlay:
    """Writes a further config file and gives the options that lay it over the smoke test's."""

    def write(text: str) -> tuple[str, ...]:
        path = tmp_path / "overlay.yaml"
        path.write_text(text)
        return (*SMOKE, str(path))

    return write
