"""The import closure that decides what is rerun after an edit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lgsf.system.errors import LgsfError
from lgsf.system.project.closure import sources

TREE = {
    "app/__init__.py": "def __getattr__(name):\n    from app.lazy import thing\n    return thing\n",
    "app/lazy.py": "import app.heavy\n",
    "app/heavy.py": "",
    "app/main.py": (
        "from __future__ import annotations\n"
        "import json, numpy as np\n"
        "from typing import TYPE_CHECKING\n"
        "import app.tools.hammer\n"
        "if TYPE_CHECKING:\n    from app import typed\nelse:\n    from app import untyped\n"
        "def run():\n    from . import late\n"
    ),
    "app/typed.py": "",
    "app/untyped.py": "",
    "app/late.py": "from .tools import saw, NAME\nfrom .circle import *\n",
    "app/circle.py": "import app.late\n",
    "app/tools/__init__.py": "NAME = 1\n",
    "app/tools/hammer.py": "from ..heads import steel\n",
    "app/tools/saw.py": "",
    "app/tools/unused.py": "",
    "app/heads/steel.py": "",  # a folder without __init__.py is a package too
    "other/alone.py": "import typing\nif typing.TYPE_CHECKING:\n    import app.main\n",
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    for name, text in TREE.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def names(root: Path, *modules: str) -> set[str]:
    return {str(path.relative_to(root)) for path in sources(*modules, root=root)}


def test_follows_every_form_of_import(tree: Path) -> None:
    assert names(tree, "app.main") == {
        "app/__init__.py",
        "app/main.py",
        "app/untyped.py",
        "app/late.py",
        "app/circle.py",
        "app/tools/__init__.py",
        "app/tools/hammer.py",
        "app/tools/saw.py",
        "app/heads/steel.py",
    }


def test_import_for_the_type_checker_changes_nothing(tree: Path) -> None:
    assert names(tree, "other.alone") == {"other/alone.py"}


def test_several_modules_give_the_union(tree: Path) -> None:
    assert names(tree, "other.alone", "app.lazy") == {
        "other/alone.py",
        "app/__init__.py",
        "app/lazy.py",
        "app/heavy.py",
    }


def test_modules_from_elsewhere_contribute_nothing(tree: Path) -> None:
    assert sources("numpy.linalg", root=tree) == []


@pytest.mark.parametrize("name", ["app.mian", "app.tools.hamer", "other.nothing"])
def test_a_requested_module_that_is_not_there_is_an_error(tree: Path, name: str) -> None:
    with pytest.raises(LgsfError, match=f"module '{name}' does not exist"):
        sources("app.main", name, root=tree)


def test_a_requested_package_without_code_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "__init__.py").write_text('"""Tables."""\n')
    (tmp_path / "tables" / "write.py").write_text("import tables\n")
    with pytest.raises(LgsfError, match=r"tables/__init__\.py holds no code"):
        sources("tables", root=tmp_path)
    assert names(tmp_path, "tables.write") == {"tables/__init__.py", "tables/write.py"}


def test_every_module_that_the_workflow_watches_is_there(repository: Path) -> None:
    rules = "\n".join(path.read_text() for path in sorted((repository / "workflow").rglob("*.smk")))
    watched = re.findall(r"""code\(\s*f?((?:"[^"]+"(?:,\s*)?)+)""", rules)
    modules = [name for group in watched for name in re.findall(r'"([^"]+)"', group)]
    assert len(modules) > 10
    for source in ("scenes", "precomp"):
        assert sources(*(name.replace("{source}", source) for name in modules), root=repository)


def test_is_sorted(tree: Path) -> None:
    files = sources("app.main", root=tree)
    assert files == sorted(files)


def test_baseline_does_not_depend_on_the_graph(repository: Path) -> None:
    assert "lgsf/models/graph/gat.py" in names(repository, "lgsf.models.lgsf")
    assert "lgsf/models/graph/gat.py" not in names(repository, "baselines.vsepp")
    assert "baselines/vsepp.py" not in names(repository, "lgsf.models.lgsf")


@pytest.mark.parametrize(
    "stage", ["lgsf.training.train", "lgsf.evaluation.evaluate", "lgsf.tables.write", "lgsf.report.page"]
)
def test_no_stage_depends_on_the_command_line(repository: Path, stage: str) -> None:
    closure = names(repository, stage)
    assert f"{stage.replace('.', '/')}.py" in closure
    assert "lgsf/cli.py" not in closure


def test_training_does_not_depend_on_the_report(repository: Path) -> None:
    closure = names(repository, "lgsf.training.train", "lgsf.models.lgsf")
    assert "lgsf/report/page.py" not in closure
    assert "lgsf/tables/write.py" not in closure
