"""A whole SLURM on the loopback of this machine: munged, slurmctld and slurmd of Debian's slurm-wlm and munge, as root."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol")
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY")
MEMORY = 64_000  # MiB, said and not measured: what the profile asks for fits
GPUS = 2  # made up: the devices are /dev/null by other names
CONF = """\
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=2
JobAcctGatherParams=OverMemoryKill
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=60
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:{gpus}
PartitionName=low Nodes=ALL Default=YES PriorityTier=1 State=UP
PartitionName=high Nodes=ALL PriorityTier=9 State=UP
"""


def missing() -> str | None:
    """Why there can be no SLURM here, or None."""
    if absent := [name for name in PROGRAMS if shutil.which(name) is None]:
        return f"no {absent[0]} on this machine; on Debian: apt-get install slurm-wlm munge"
    return None if os.getuid() == 0 else "slurmctld and slurmd of one machine are started by root alone"


@dataclass(frozen=True)
class Cluster:
    """A running cluster of one node."""

    folder: Path
    cpus: int

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "SLURM_CONF": str(self.folder / "slurm.conf")}

    def run(self, *command: str) -> str:
        """The output of a command of SLURM."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout.strip()

    def submit(self, command: str, *, name: str, options: tuple[str, ...] = (), folder: Path | None = None) -> str:
        """The number of a new job that does `command`; its output goes to <name>.out."""
        script = self.folder / f"{name}.sh"
        script.write_text(f"#!/bin/bash\n{command}\n")
        out = ("--output", str(self.folder / f"{name}.out"), "--open-mode", "append")
        where = ("--chdir", str(folder or self.folder))
        return self.run("sbatch", "--parsable", "--job-name", name, *out, *where, *options, str(script))

    def said(self, name: str) -> str:
        file = self.folder / f"{name}.out"
        return file.read_text() if file.exists() else ""

    def state(self, job: str) -> dict[str, str]:
        """What scontrol knows of a job: JobState, Restarts, ExitCode ..."""
        words = self.run("scontrol", "show", "job", job).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def wait(self, job: str, *, seconds: float) -> dict[str, str]:
        """Its state once it has ended."""
        end = time.monotonic() + seconds
        while (state := self.state(job))["JobState"] not in ENDED:
            assert time.monotonic() < end, f"job {job} did not end: {state}"
            time.sleep(1)
        return state


@contextmanager
def cluster(folder: Path, *, cpus: int = 2) -> Iterator[Cluster]:
    """Start it, wait for its node, and stop it in the end; the folder's path must be short, as a socket lies in it."""
    for name in ("state", "spool"):
        (folder / name).mkdir()
    for number in range(GPUS):
        os.mknod(folder / f"gpu{number}", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    conf = CONF.format(
        host=socket.gethostname().split(".")[0], ports=_ports(2), folder=folder, cpus=cpus, gpus=GPUS, memory=MEMORY
    )
    (folder / "slurm.conf").write_text(conf)
    (folder / "gres.conf").write_text(f"Name=gpu File={folder}/gpu[0-{GPUS - 1}]\n")
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o600)
    one = Cluster(folder, cpus)
    munged = ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", f"--key-file={key}"]
    munged += [f"--{name}-file={folder}/munge.{name}" for name in ("pid", "log", "seed")]
    with ExitStack() as running:
        for command in (munged, ["slurmctld", "-D"], ["slurmd", "-D"]):
            log = running.enter_context((folder / f"{command[0]}.log").open("w"))
            process = subprocess.Popen(command, env=one.environment, stdout=log, stderr=log)
            running.callback(process.wait)
            running.callback(process.terminate)
            time.sleep(1)
        _wait_for_node(one)
        yield one


def _wait_for_node(one: Cluster) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        done = subprocess.run(["sinfo", "-h", "-o", "%T"], env=one.environment, capture_output=True, text=True)
        if "idle" in done.stdout:
            return
        time.sleep(0.5)
    logs = "\n".join(path.read_text()[-2000:] for path in one.folder.glob("*.log"))
    raise AssertionError(f"the node did not come up:\n{logs}")


def _ports(n: int) -> list[int]:
    """Ports that nobody listens on by now."""
    sockets = [socket.socket() for _ in range(n)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
