"""What is read from the text of a class agrees with the class, and what cannot be read is left to it."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lgsf.config.checks.parameter_keys import filled, known_keys, unknown_key
from lgsf.models.base import Parameters
from lgsf.system.errors import LgsfError
from tests.support.every_method import all_method_classes


def test_keys_and_defaults_are_those_of_every_method() -> None:
    classes = all_method_classes()
    assert len(classes) >= 7
    for found in classes:
        keys = known_keys(f"{found.__module__}:{found.__name__}")
        assert keys is not None, found
        assert filled({}, keys) == found.Parameters().model_dump(mode="json")
        assert set(keys) == set(found.Parameters.model_fields)


def test_nothing_is_imported(repository: Path) -> None:
    code = (
        "import sys\nfrom lgsf.config.file import Config\nConfig.read(['config/config.yaml', 'config/flickr8k.yaml'])\n"
        "import lgsf.config.checks.replaced\nsys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=repository).returncode == 0


MODULE = """
from lgsf.models.base import Method, Parameters
from pydantic import ConfigDict, Field

class Inner(Parameters):
    kind: str = "x"
    size: int = Field(default=3, ge=1)

class Mine(Parameters):
    inner: Inner = Inner(size=4)
    third: float = 1 / 3
    needed: int

class Open(Parameters):
    model_config = ConfigDict(extra="allow")

class A(Method):
    Parameters = Mine

class B(A):
    pass

class C(Method):
    Parameters = Open

class D(Method):
    Parameters = dict(x=Mine)["x"]

class E:
    pass
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(MODULE)
    return tmp_path


def test_classes_of_a_user(package: Path) -> None:
    for name in "AB":
        keys = known_keys(f"mine:{name}", root=package)
        assert keys is not None and set(keys) == {"inner", "third", "needed"}
        assert filled({"needed": 1}, keys) == {"needed": 1, "inner": {}}  # the rest is computed
        assert unknown_key({"inner": {"kind": "y"}, "third": 2.0}, keys) is None
        assert unknown_key({"inner": {"knd": "y"}}, keys) == (("inner", "knd"), ["kind", "size"])
        assert unknown_key({"neded": 1}, keys) == (("neded",), ["inner", "needed", "third"])


@pytest.mark.parametrize("model", ["mine:C", "mine:D", "mine:E", "mine:F", "elsewhere:A"])
def test_what_cannot_be_read_is_left_to_the_class(package: Path, model: str) -> None:
    assert known_keys(model, root=package) is None


def test_a_file_that_is_no_python(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("x = 1\nclass (:\n")
    with pytest.raises(LgsfError, match=r"broken.py, line 2: .*mend the code there\.$"):
        known_keys("broken:A", root=tmp_path)


def test_bounds_hold_for_parameters_of_anybody() -> None:
    class Own(Parameters):
        width: int = 1
        start_step: int = 0
        rate: float = 0.0
        flag: bool = True

    Own(width=2**17, start_step=10**9, rate=1e300)
    wrong: list[dict[str, Any]] = [
        {"width": 2**18},
        {"start_step": 10**10},
        {"rate": float("inf")},
        {"width": -(2**40)},
    ]
    for values in wrong:
        with pytest.raises(ValueError, match=r"larger than|finite"):
            Own.model_validate(values)


def test_the_support_finds_methods() -> None:
    assert importlib.import_module("lgsf.models.lgsf").LGSF in all_method_classes()
