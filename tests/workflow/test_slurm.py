"""The workflow as jobs of a real SLURM on this machine, by the profile that is shipped for it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.slurm import Cluster, cluster, missing
from tests.workflow.conftest import SMALL, Outcome, Tree, copy_repository

pytestmark = [pytest.mark.slow, pytest.mark.skipif(missing() is not None, reason=str(missing()))]
PLUGIN = Path(__file__).parents[1] / "support/slurm_plugin"
PROFILE = ("--workflow-profile", "workflow/profiles/slurm", "--latency-wait", "5")
# Of the two methods the second trains for longer than a job of one minute may.
LONG = """\
run: {methods: [lgsf, long], seeds: [0], controls: [random], reference: lgsf}
methods: {long: {extends: vsepp, training: {epochs: 100000}}}
"""


@pytest.fixture(scope="module")
def slurm() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="slurm") as folder, cluster(Path(folder)) as one:
        yield one


def run(tree: Tree, slurm: Cluster, *options: str | Path) -> Outcome:
    env = {"SLURM_CONF": slurm.environment["SLURM_CONF"], "PYTHONPATH": str(PLUGIN)}
    return tree.run("-m", "snakemake", *PROFILE, *options, env=env)


def told(tree: Tree) -> str:
    """The report in text, without what says when, how long and how much memory."""
    text = (tree.root / "reports/smoke/report.md").read_text()
    text = re.sub(r"^## What it cost\n.*?(?=^## )", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d|[\d.]+ s\b", "…", text)


def test_the_smoke_report_is_that_of_a_local_run(repository: Path, slurm: Cluster, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    small = ("--configfile", "config/smoke.yaml", tmp_path / "small.yaml")
    there, here = (copy_repository(repository, tmp_path / name) for name in ("there", "here"))
    outcome = run(there, slurm, *small)
    assert outcome.code == 0, outcome.text
    logs = {path.name for path in (there.root / ".snakemake/slurm").iterdir()}
    assert len(logs) == sum(outcome.jobs.values()) == 9  # each was a job
    assert here.snakemake("--cores", "2", *small).code == 0
    for name in ("summary.csv", "differences.csv"):
        local, remote = (tree.root / "results/smoke/tables/smoke/comparison" / name for tree in (here, there))
        assert local.read_bytes() == remote.read_bytes()
    assert told(there) == told(here)


def test_jobs_out_of_time_and_out_of_memory_are_told_and_others_go_on(
    repository: Path, slurm: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    (tmp_path / "long.yaml").write_text(LONG)
    tree = copy_repository(repository, tmp_path / "tree")
    config = ("--configfile", "config/smoke.yaml", tmp_path / "small.yaml", tmp_path / "long.yaml")
    outcome = run(tree, slurm, *config, "--set-resources", "train:runtime=1", "control:mem_mb=20")
    assert outcome.code == 1
    assert "ended as TIMEOUT" in outcome.text and "ended as FAILED" in outcome.text, outcome.text
    (log,) = (tree.root / ".snakemake/slurm").glob("*control*.log")  # without accounting only there
    assert "exceeded memory limit" in log.read_text()
    results = tree.root / "results/smoke/scenes"
    assert (results / "lgsf/seed0/test/ranks.npz").is_file()
    assert not (results / "random/seed0/run.json").exists()
    assert (results / "long/seed0/.resume/state.pt").is_file()  # the same command with more time goes on from here
    assert "stopped by SIGTERM" in (tree.root / "logs/smoke/scenes/long/seed0/train.log").read_text()
