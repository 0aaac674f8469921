"""After Snakemake was killed: the trainer that survives is named, then the run goes on where it stood."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import psutil

from tests.workflow.conftest import Overlay, Tree, clean_environment

EPOCHS = 20
RUN = "results/smoke/scenes/long/seed0"
UNLOCK = "workflow/scripts/unlock.py"


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def test_killed_snakemake(finished: Tree, overlay: Overlay) -> None:
    options = overlay(f"methods: {{long: {{extends: vsepp, training: {{epochs: {EPOCHS}}}}}}}\n")
    command = ("--cores", "1", f"{RUN}/model.safetensors", *options)
    resume = finished.root / RUN / ".resume"
    snakemake = subprocess.Popen(
        [sys.executable, "-m", "snakemake", *command],
        cwd=finished.root,
        env=clean_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for((resume / "state.pt").is_file)  # whole: before, it lies beside under another name
    trainers = [
        child for child in psutil.Process(snakemake.pid).children(recursive=True) if "train" in child.cmdline()[:4]
    ]
    for trainer in trainers:
        trainer.suspend()  # it lives as long as this test wants
    snakemake.kill()
    snakemake.wait()

    outcome = finished.run(UNLOCK)
    assert outcome.code == 1
    (line,) = outcome.text.splitlines()
    assert f"Process {trainers[0].pid} " in line and "wait for it" in line

    for trainer in trainers:
        trainer.kill()
    psutil.wait_procs(trainers)
    assert "locked" in finished.snakemake(*command).text

    assert finished.run(UNLOCK).code == 0
    outcome = finished.snakemake(*command)
    assert outcome.code == 0, outcome.text
    assert "long seed 0: resumed after epoch" in outcome.text
    assert len((finished.root / RUN / "log.jsonl").read_text().splitlines()) == EPOCHS
    assert not resume.exists() or not any(resume.iterdir())


def test_nothing_to_unlock(tree: Tree) -> None:
    outcome = tree.run(UNLOCK)
    assert (outcome.code, outcome.text) == (0, "")
