"""`import lgsf` is cheap, lists what it offers, and need not change when that does."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import lgsf
from lgsf.api import exports


def test_dir_lists_what_a_notebook_needs_and_all_of_it_is_there() -> None:
    assert {"load_run", "open_dataset", "rank", "compare", "LgsfError", "__version__"} <= set(dir(lgsf))
    assert sorted(exports.WHERE) == exports.__all__ == sorted(set(exports.__all__))
    for name in exports.__all__:
        assert getattr(lgsf, name).__doc__, name
    with pytest.raises(AttributeError, match="module 'lgsf' has no attribute 'load_runs'"):
        lgsf.load_runs  # noqa: B018
    exec("from lgsf import *", own := {})
    assert own["rank"] is lgsf.rank and own["__version__"] == lgsf.__version__


def test_type_checkers_see_the_same_names(repository: Path) -> None:
    tree = ast.parse((repository / "lgsf/api/exports.py").read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.asname: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert seen == exports.WHERE


def test_importing_waits_for_nothing(repository: Path) -> None:
    heavy = "{'torch', 'pandas', 'numpy', 'pydantic'} & set(sys.modules)"
    code = f"import sys, lgsf; dir(lgsf); found = {heavy}; sys.exit(repr(found) if found else 0)"
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_package_itself_names_nothing_that_it_offers(repository: Path) -> None:
    text = (repository / "lgsf/__init__.py").read_text()
    assert not [name for name in exports.WHERE if name in text], "an edit of this file trains everything anew"
