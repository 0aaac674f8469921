"""Every benchmark still fits the code that it measures."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
# The arguments with which each script ends soonest; the others need models or data of full size.
SMALLEST = {
    "blocks": ["--repeats", "1"],
    "loader": ["--gib", "0.01", "--batch", "16"],
    "memory": ["--gib", "0.01"],
    "significance": ["--repetitions", "5"],
    "similarity": ["--images", "8", "--captions", "16", "--loop-captions", "8", "--repeats", "1", "--dim", "32"],
    "text_encoders": ["--layers", "1", "--width", "64", "--captions", "128", "--rounds", "1"],
    "training_step": ["--steps", "1", "--methods", "base"],
    "verification": ["--gib", "0.01"],
}


def script(name: str) -> dict[str, Any]:
    """What a script defines, nothing of it run."""
    return runpy.run_path(str(FOLDER / f"{name}.py"))


@pytest.mark.seconds
@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py")))
def test_every_benchmark_says_what_it_takes(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names that moved, or that a script made up, end here; the types are those of `make lint`."""
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as stopped:
        script(name)["main"]()
    assert stopped.value.code == 0
    assert "usage:" in capsys.readouterr().out


def test_the_step_of_every_method_has_settings() -> None:
    step = script("training_step")
    assert {step["settings_of"](name).method for name in step["METHODS"]} == set(step["METHODS"])


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALLEST)
def test_a_benchmark_runs_to_its_end(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    command = [sys.executable, str(FOLDER / f"{name}.py"), *SMALLEST[name]]
    done = subprocess.run(command, cwd=FOLDER.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 3
