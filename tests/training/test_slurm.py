"""A real SLURM on this machine: a training that a node was taken from goes on, and GPUs are given out one by one."""

from __future__ import annotations

import json
import shlex
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import write_config
from tests.support.pair import in_a_pair
from tests.support.slurm import GPUS, Cluster, cluster, missing
from tests.training.test_train import command, same_run

pytestmark = [pytest.mark.slow, pytest.mark.skipif(missing() is not None, reason=str(missing()))]


@pytest.fixture(scope="module")
def slurm() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="slurm") as folder, cluster(Path(folder)) as one:
        yield one


def epochs(run: Path) -> int:
    log = run / "log.jsonl"
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_a_preempted_training_of_two_processes_ends_like_an_undisturbed_one(
    slurm: Cluster, tmp_path: Path, tiny_dataset: Path, repository: Path
) -> None:
    from tests.training.test_joint_training import trained

    parameters = {"embedding_dim": 16, "word_dim": 8, "graph": {"heads": 2, "ff": 8}, "interaction": {"heads": 2}}
    config = write_config(
        tmp_path / "config.json", model="lgsf.models.lgsf:LGSF", parameters=parameters, region_drop=0.3, epochs=12
    )
    config.write_text(json.dumps({**json.loads(config.read_text()), "processes": 2}))
    whole, taken = tmp_path / "whole", tmp_path / "taken"

    line = "exec " + shlex.join(command(config, tiny_dataset, taken, seed=0))
    low = ("--partition=low", "--requeue", "--ntasks=1", f"--cpus-per-task={slurm.cpus}")
    job = slurm.submit(line, name="train", options=low, folder=repository)
    end = time.monotonic() + 300
    while epochs(taken) < 2:
        assert time.monotonic() < end and slurm.state(job)["JobState"] in ("PENDING", "RUNNING"), slurm.said("train")
        time.sleep(0.2)
    urgent = slurm.submit("true", name="urgent", options=("--partition=high", f"--cpus-per-task={slurm.cpus}"))
    assert slurm.wait(urgent, seconds=200)["JobState"] == "COMPLETED"
    state = slurm.wait(job, seconds=500)
    said = slurm.said("train")
    assert (state["JobState"], state["Restarts"]) == ("COMPLETED", "1"), said
    assert "stopped by SIGTERM; run the same command again to go on" in said and "resumed after epoch" in said
    assert "Traceback" not in said
    assert in_a_pair(trained, config, tiny_dataset, whole) == [None, None]
    same_run(whole, taken, tiny_dataset)


def test_jobs_side_by_side_are_given_one_gpu_each(slurm: Cluster) -> None:
    """As our profile asks for them: with `tasks_per_gpu=0` a job with several GPUs is one task, which starts the others."""
    line = f"echo $CUDA_VISIBLE_DEVICES; touch $SLURM_JOB_NAME.runs; until [ $(ls *.runs | wc -l) = {GPUS} ]; do sleep 0.1; done"
    one_each = [slurm.submit(line, name=f"gpu{k}", options=("--gpus=1", "--mem=1000")) for k in range(GPUS)]
    for job in one_each:
        assert slurm.wait(job, seconds=60)["JobState"] == "COMPLETED"
    assert sorted(slurm.said(f"gpu{k}").strip() for k in range(GPUS)) == [str(k) for k in range(GPUS)]
    both = slurm.submit("srun echo $CUDA_VISIBLE_DEVICES", name="both", options=(f"--gpus={GPUS}",))
    assert slurm.wait(both, seconds=60)["JobState"] == "COMPLETED"
    assert slurm.said("both").split() == [",".join(str(k) for k in range(GPUS))]
