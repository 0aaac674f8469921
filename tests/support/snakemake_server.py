"""Snakemake from a server that has imported it once: half of the time of a plan is imports, and tests plan a lot."""

from __future__ import annotations

import multiprocessing
import os
import sys
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
# What Snakemake and the rules load, of other people's; and the project's modules as syntax trees.
MODULES = [
    "snakemake.cli", "snakemake.api", "snakemake.report.html_reporter", "snakemake.profiles", "snakemake.storage",
    "pandas", "pydantic", "yaml", "pulp", "smart_open", "tests.support.parsed",
]  # fmt: skip


@cache
def _context() -> ForkServerContext:
    """One server for each test process; its children know nothing of each other."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(MODULES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(REPOSITORY))  # where the server looks for `tests`
        forkserver.ensure_running()
    return context


def snakemake(options: list[str], *, cwd: Path, env: dict[str, str], out: Path) -> int:
    """`python -m snakemake` with `options` in `cwd` and `env`; both of its outputs go into `out`. Returns its status."""
    process = _context().Process(target=_run, args=(options, str(cwd), env, str(out)))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _run(options: list[str], cwd: str, env: dict[str, str], out: str) -> None:
    file = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND)  # jobs write into it too
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.dont_write_bytecode = "PYTHONDONTWRITEBYTECODE" in env
    sys.argv = [str(Path(sys.modules["snakemake"].__file__ or "").parent / "__main__.py"), *options]
    sys.path[0:0] = [cwd]  # as `python -m` has it
    for name in [name for name in sys.modules if name.partition(".")[0] in ("lgsf", "baselines", "tests")]:
        del sys.modules[name]  # the copy's own code plans
    from snakemake.cli import main

    main()
