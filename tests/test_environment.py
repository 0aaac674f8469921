"""One set of versions: lock files, conda environment and package metadata agree; the schema is current."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from lgsf.config.schema import config_schema


def pins(lock: Path) -> dict[str, str]:
    """Canonical name -> version of a lock file; every line but comments and `-r` must be an exact pin."""
    found = {}
    for line in lock.read_text().splitlines():
        if line and not line.startswith(("#", "-r ")):
            requirement = Requirement(line)
            (specifier,) = requirement.specifier
            assert specifier.operator == "==", line
            found[canonicalize_name(requirement.name)] = specifier.version
    return found


def environment(repository: Path) -> list[Requirement]:
    """The pip part of environment.yml."""
    dependencies = yaml.safe_load((repository / "environment.yml").read_text())["dependencies"]
    (pip,) = (entry["pip"] for entry in dependencies if isinstance(entry, dict))
    return [Requirement(line) for line in pip]


def test_conda_environment_has_the_versions_of_the_lock(repository: Path) -> None:
    lock = pins(repository / "requirements.lock")
    for requirement in environment(repository):
        assert str(requirement.specifier) == f"=={lock[canonicalize_name(requirement.name)]}"


def test_conda_environment_holds_what_the_package_needs(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    needed = {(r.name, frozenset(r.extras)) for r in map(Requirement, project["dependencies"])}
    assert {(r.name, frozenset(r.extras)) for r in environment(repository)} == needed


def test_lock_satisfies_the_package(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    lock = pins(repository / "requirements.lock")
    both = lock | pins(repository / "requirements-dev.lock")
    for line in project["dependencies"]:
        assert Requirement(line).specifier.contains(lock[canonicalize_name(Requirement(line).name)]), line
    for line in project["optional-dependencies"]["dev"]:
        assert Requirement(line).specifier.contains(both[canonicalize_name(Requirement(line).name)]), line


def test_conda_channels_are_free_ones(repository: Path) -> None:
    environment = yaml.safe_load((repository / "environment.yml").read_text())
    assert environment["channels"] == ["conda-forge", "nodefaults"]


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock", "environment.yml"])
def test_no_version_is_tied_to_a_machine(repository: Path, name: str) -> None:
    text = (repository / name).read_text()
    assert not re.search(r"://|\+cpu|\+cu\d|file:|/home/|--index|--find-links", text)


def test_schema_is_current(repository: Path) -> None:
    stored = (repository / "workflow/schemas/config.schema.json").read_text()
    assert stored == config_schema(), "run `lgsf schema --out workflow/schemas/config.schema.json`"


def test_every_config_names_the_schema(repository: Path) -> None:
    for path in (repository / "config").glob("*.yaml"):
        first, second = path.read_text().splitlines()[:2]
        assert first == "# yaml-language-server: $schema=../workflow/schemas/config.schema.json", path
        assert second.startswith("# ") and second.endswith("."), f"{path} says in its second line what it is for"
