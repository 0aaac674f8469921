"""The commit in a record is that of a repository that knows this code, not of one that happens to lie around it."""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from lgsf.runs import provenance
from lgsf.runs.provenance import _git


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, env=clean, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_an_archive_inside_a_foreign_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = tmp_path / "foreign"
    unpacked = foreign / "vendor/lgsf-benchmark/lgsf/runs/provenance.py"
    unpacked.parent.mkdir(parents=True)
    shutil.copy(provenance.__file__, unpacked)
    monkeypatch.setattr(provenance, "__file__", str(unpacked))
    git(foreign, "init", "-q")
    assert _git() == {"commit": None, "dirty": None}  # without any commit
    (foreign / "thesis.tex").write_text("x")
    git(foreign, "add", "thesis.tex")
    git(foreign, "commit", "-q", "-m", "x")
    assert _git() == {"commit": None, "dirty": None}
    (foreign / ".gitignore").write_text("vendor\n")
    assert _git() == {"commit": None, "dirty": None}

    (foreign / ".gitignore").unlink()
    git(foreign, "add", "vendor")  # who keeps our code has a commit for it
    git(foreign, "commit", "-q", "-m", "y")
    commit = git(foreign, "rev-parse", "HEAD")
    assert _git() == {"commit": commit, "dirty": False}
    unpacked.write_text("changed")
    assert _git() == {"commit": commit, "dirty": True}

    git(tmp_path, "init", "-q", "other")  # as git's hooks and some editors name another one
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other/.git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "other"))
    assert _git() == {"commit": commit, "dirty": True}


def test_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _git() == {"commit": None, "dirty": None}


def test_this_checkout(repository: Path) -> None:
    if not (repository / ".git").exists():
        pytest.skip("this is no checkout")
    assert _git()["commit"] == git(repository, "rev-parse", "HEAD")


def test_packages_are_those_that_an_import_would_find() -> None:
    found = provenance._packages()
    assert (
        {"torch", "torch-geometric", "numpy", "pandas", "nltk", "safetensors"} <= set(found) <= set(provenance.PACKAGES)
    )
    every = {d.metadata["Name"].lower(): d.version for d in metadata.distributions()}  # the slow way
    assert found == {name: every[name] for name in provenance.PACKAGES if name in every}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (
            "processor\t: 0\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n\nprocessor\t: 1\nmodel\t\t: 1\n",
            "AMD EPYC, family 25 model 17",
        ),
        ("processor\t: 0\nmodel name\t: ARMv8 Processor rev 1\n", "ARMv8 Processor rev 1"),
        ("processor\t: 0\nmodel\t\t: 17\n", ""),
        ("", ""),
    ],
)
def test_processors_of_one_name_are_told_apart(tmp_path: Path, text: str, name: str) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    assert provenance.processor(tmp_path / "cpuinfo") == name
    assert provenance.processor(tmp_path / "absent") == ""
