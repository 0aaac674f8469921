"""Where a number comes from: data, code, packages, machine, time and memory of a run.

torch is imported where there is a GPU to ask about: controls need nothing else of it.
"""

from __future__ import annotations

import os
import platform
import resource
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lgsf.data.layout import Dataset

if TYPE_CHECKING:
    import torch

RUN_SCHEMA_VERSION = 1
PACKAGES = (
    "torch", "torch-geometric", "numpy", "scipy", "pandas", "nltk", "rjieba", "safetensors", "transformers", "tokenizers", "snakemake"
)  # fmt: skip


def describe_dataset(dataset: Dataset) -> dict[str, Any]:
    """What a report says of the data, copied into every run so that it needs no dataset."""
    manifest = dataset.manifest
    return {
        "source": manifest["source"],
        "protocol": manifest["protocol"],
        "vocabulary": manifest["vocabulary"],
        "warnings": manifest.get("warnings", []),
        "splits": {n: {k: v for k, v in s.items() if k != "sha256"} for n, s in manifest["splits"].items()},
    }


def provenance(dataset: Dataset, *, device: torch.device | None) -> dict[str, Any]:
    """The part of run.json that is about the machine, the code and the data."""
    return {
        "schema_version": RUN_SCHEMA_VERSION,
        "dataset_sha256": dataset.sha256,
        "data": describe_dataset(dataset),
        "git": _git(),
        "packages": _packages(),
        "python": platform.python_version(),
        "device": {"type": device.type if device else "cpu", "name": device_name(device), **_gpus(device)},
    }


def now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, in MiB."""
    status = Path("/proc/self/status")
    if status.is_file():
        # ru_maxrss is inherited over exec, so a small child of a large parent would report the parent.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def peak_gpu_memory_mb(device: torch.device) -> float | None:
    """Largest memory that torch held on the GPU, in MiB; None on a CPU."""
    if device.type != "cuda":
        return None
    import torch

    return torch.cuda.max_memory_allocated(device) / 2**20


def _git() -> dict[str, Any]:
    """Commit and whether files differ from it; nulls where no repository knows this very code.

    A repository around the folder is not enough: an archive that was unpacked inside of it is not its code.
    """
    here = Path(__file__).resolve()
    # GIT_DIR and its like, as git's own hooks set them, would name another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def ask(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", *arguments], cwd=here.parent, env=environment, capture_output=True, text=True, timeout=20
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    ours = ask("ls-files", "--error-unmatch", "--", here.name)
    commit = ask("rev-parse", "--verify", "HEAD^{commit}") if ours else None
    status = ask("status", "--porcelain", "--untracked-files=no") if commit else None
    return {"commit": commit, "dirty": None if status is None else bool(status)}


def _packages() -> dict[str, str]:
    """Versions of what computes; a package that a deployment leaves out is absent."""
    found = {}
    for name in PACKAGES:  # and not all that are installed: reading those took a quarter of a second of every run
        try:
            found[name] = metadata.version(name)
        except (metadata.PackageNotFoundError, KeyError):  # KeyError: what a broken installation leaves
            continue
    return {name: version for name, version in found.items() if version}


def _gpus(device: torch.device | None) -> dict[str, Any]:
    """Which GPU it is; nothing for a CPU."""
    if device is None or device.type != "cuda":
        return {}
    import torch

    from lgsf.models.device import uuid_of

    index = torch.cuda.current_device() if device.index is None else device.index
    return {"gpus": [{"index": index, "uuid": uuid_of(index)}]}


def device_name(device: torch.device | None) -> str:
    """What the device calls itself; the processor for None."""
    if device is not None and device.type == "cuda":
        import torch

        return torch.cuda.get_device_name(device)
    return processor(Path("/proc/cpuinfo")) or platform.processor() or platform.machine()


def processor(cpuinfo: Path) -> str:
    """Name, family and model of the first processor that Linux lists in `cpuinfo`; "" where it says no name.

    A cloud calls several generations by one name, and a training rounds differently on each of them.
    """
    if not cpuinfo.is_file():
        return ""
    fields = [line.partition(":") for line in cpuinfo.read_text().partition("\n\n")[0].splitlines()]
    facts = {key.strip(): value.strip() for key, _, value in fields}
    kind = " ".join(
        f"{word} {facts[key]}" for word, key in (("family", "cpu family"), ("model", "model")) if key in facts
    )
    return ", ".join(filter(None, (facts["model name"], kind))) if facts.get("model name") else ""
