"""A stand-in of Snakemake's plugin for SLURM, so that the workflow's own profile for SLURM runs where that is absent.

It submits each job by sbatch with what the profile asks for (threads, runtime, memory, GPUs) and asks scontrol how it
ended; the published plugin has more settings, accounting and grouping. Found by its name on PYTHONPATH.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import AsyncGenerator
from pathlib import Path

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface
from snakemake_interface_executor_plugins.settings import CommonSettings

common_settings = CommonSettings(
    non_local_exec=True,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    pass_envvar_declarations_to_cmd=False,
    auto_deploy_default_storage_provider=False,
    init_seconds_before_status_checks=2,
)
LOGS = Path(".snakemake/slurm")
AT_WORK = ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "REQUEUED", "SUSPENDED")


class Executor(RemoteExecutor):  # type: ignore[misc]  # the interface has no types
    """Jobs of SLURM, one for each job of the workflow."""

    def run_job(self, job: JobExecutorInterface) -> None:
        LOGS.mkdir(parents=True, exist_ok=True)
        asked = job.resources
        options = [f"--cpus-per-task={job.threads}", f"--time={asked['runtime']}", f"--mem={asked['mem_mb']}"]
        options += [f"--gpus={asked['gpu']}"] if asked.get("gpu") else []
        name = re.sub(r"\W+", "_", self.get_jobname(job))
        options += ["--job-name", name, "--output", str(LOGS.resolve() / f"{name}.%j.log"), "--chdir", str(Path.cwd())]
        script = f"#!/bin/bash\n{self.format_job_exec(job)}\n"
        number = subprocess.run(
            ["sbatch", "--parsable", *options], input=script, capture_output=True, text=True, check=True
        ).stdout.strip()
        self.report_job_submission(SubmittedJobInfo(job, external_jobid=number))

    async def check_active_jobs(self, active_jobs: list[SubmittedJobInfo]) -> AsyncGenerator[SubmittedJobInfo, None]:
        for one in active_jobs:
            shown = subprocess.run(
                ["scontrol", "show", "job", str(one.external_jobid)], capture_output=True, text=True, check=True
            ).stdout
            found = re.search(r"JobState=(\w+)", shown)
            state = found[1] if found else "UNKNOWN"
            if state in AT_WORK:
                yield one
            elif state == "COMPLETED":
                self.report_job_success(one)
            else:
                self.report_job_error(one, msg=f"SLURM job {one.external_jobid} ended as {state}. ")

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:
        if active_jobs:
            subprocess.run(["scancel", *(str(one.external_jobid) for one in active_jobs)], check=False)
