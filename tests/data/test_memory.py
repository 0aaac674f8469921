"""Memory does not grow with the pack: 4 GiB are prepared, inspected, trained on and ranked with less than 1 GiB."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

# The verb in a process of its own, which reports its peak at the end.
VERB = """
import sys
from lgsf.cli import main
from lgsf.runs.provenance import peak_memory_mb
main(sys.argv[1:])
print("peak", peak_memory_mb())
"""


def _peak_mib(*arguments: object) -> float:
    command = [sys.executable, "-c", VERB, *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return float(result.stdout.split("peak ")[-1])


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A folder that is gone after the test: pytest would keep the gigabytes of the last three runs."""
    with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
        yield Path(folder)


@pytest.mark.slow
def test_a_large_pack_needs_no_large_memory(scratch: Path, repository: Path, tiny_config: Callable[..., Path]) -> None:
    make_pack = runpy.run_path(str(repository / "benchmarks" / "memory.py"))["make_pack"]
    make_pack(scratch / "pack", 4.0, captions_per_image=1)
    assert (scratch / "pack" / "train_ims.npy").stat().st_size > 3.99 * 2**30
    settings = {"source": "precomp", "path": str(scratch / "pack"), "captions_per_image": 1}
    data, run = scratch / "data", scratch / "run"
    assert _peak_mib("prepare", "--name", "large", "--settings", json.dumps(settings), "--out", data) < 1024
    assert _peak_mib("inspect", data) < 1024
    config = tiny_config(batch_size=128, epochs=1)
    assert _peak_mib("train", "--config", config, "--dataset", data, "--seed", 0, "--out", run) < 1024
    assert _peak_mib("evaluate", "--run", run, "--dataset", data) < 1024
    record = json.loads((run / "run.json").read_text())
    assert record["steps"] == len(np.load(data / "train" / "region_counts.npy")) // 128  # every image once
    assert record["peak_memory_mb"] < 1024
