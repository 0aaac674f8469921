"""Memory does not grow with the pack: 4 GiB are prepared, inspected, trained on and ranked in 1 GiB; 64 are opened."""

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
import pandas as pd
import pytest

from lgsf.data.store.shards import RowsWriter, create_arrays
from lgsf.data.text import Vocabulary
from lgsf.data.tokens import FILE as TOKENS
from lgsf.data.writer import DatasetWriter
from lgsf.system.artefacts.inputs import MEMORY, Signature
from lgsf.system.files import write_json
from lgsf.system.hashes import sha256

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


# Opens the training split in a process of its own and says how long that took, imports apart.
OPEN = """
import sys, time
from pathlib import Path
from lgsf.data.layout import open_dataset
started = time.perf_counter()
split = open_dataset(Path(sys.argv[1])).split("train")
print("opened", time.perf_counter() - started, len(split.regions))
"""
GIB = 64
N_REGIONS, DIM = 36, 2048
EVERY = 16  # images between those that have a caption of their own: training reads all over the file
N_SMALL = 64


def _write_sparse(root: Path) -> int:
    """A dataset whose training features are a sparse file of 64 GiB with some rows at its two ends; its images."""
    n = GIB * 2**30 // (N_REGIONS * DIM * 4)
    random = np.random.default_rng(0)
    block = random.standard_normal((N_SMALL, N_REGIONS, DIM), np.float32)
    counts = np.full(N_SMALL, N_REGIONS, np.int32)
    with DatasetWriter(root, name="large", source={"kind": "test"}, protocol={"folds": 1}) as writer:
        writer.vocabulary(Vocabulary.build([f"dog number {i}" for i in range(9)], min_count=1))
        for name in ("train", "dev", "test"):
            images = pd.DataFrame({"image_id": [f"{name}{i}" for i in range(N_SMALL)], "file_name": ""})
            text = [f"a {name} dog number {i}" for i in range(N_SMALL)]
            captions = pd.DataFrame({"caption_id": images["image_id"], "image": np.arange(N_SMALL), "text": text})
            writer.split(
                name, images=images, captions=captions, shape=block.shape, dtype=np.float32,
                blocks=[(block + np.float32(len(name)), counts, None)], boxes=False,
            )  # fmt: skip
    folder = root / "train"
    (folder / "regions.npy").unlink()
    form = ((n, N_REGIONS, DIM), np.dtype(np.float32))
    create_arrays(folder, {"regions.npy": form}, maker="test", write=["regions.npy"])
    for shard in (range(N_SMALL), range(n - N_SMALL, n)):
        with RowsWriter(folder, shard) as rows:
            rows.append({"regions.npy": block})
            rows.finish()
    np.save(folder / "region_counts.npy", np.full(n, N_REGIONS, np.int32))
    pd.DataFrame({"image_id": np.arange(n).astype(str), "file_name": ""}).to_parquet(folder / "images.parquet")
    image = np.arange(0, n, EVERY)
    captions = pd.DataFrame({"caption_id": image.astype(str), "image": image, "text": [f"dog {i % 9}" for i in image]})
    captions.to_parquet(folder / "captions.parquet")
    (folder / TOKENS).unlink()  # of the captions that these replace
    manifest = json.loads((root / "dataset.json").read_text())
    # Of 64 GiB a checksum takes a minute: the file counts as verified, as it does from its first opening on.
    kept = set(manifest["splits"]["train"]["sha256"]) - {"regions.npy", TOKENS}
    sums = {file: sha256(folder / file) for file in kept}
    sums["regions.npy"] = "0" * 64
    known = {"train/regions.npy": [*Signature.of(folder / "regions.npy"), sums["regions.npy"]]}
    write_json(root / MEMORY, known)
    manifest["splits"]["train"] |= {"images": n, "captions": len(captions), "sha256": sums}
    write_json(root / "dataset.json", manifest)
    return n


@pytest.mark.slow
def test_64_gib_open_at_once_and_train_in_two(scratch: Path, tiny_config: Callable[..., Path]) -> None:
    """Once its bytes have been verified, a pack that is larger than any memory costs no more than a small one."""
    root = scratch / "data"
    n = _write_sparse(root)
    path = root / "train" / "regions.npy"
    assert path.stat().st_size > GIB * 2**30 * 0.999 and path.stat().st_blocks * 512 < 2**30
    said = subprocess.run([sys.executable, "-c", OPEN, str(root)], check=True, stdout=subprocess.PIPE, text=True).stdout
    print(said)
    _, seconds, rows = said.split()
    assert int(rows) == n
    assert float(seconds) < 2
    run = scratch / "run"
    peak = _peak_mib("train", "--config", tiny_config(batch_size=128, epochs=1), "--dataset", root, "--seed", 0,
                     "--out", run)  # fmt: skip
    print(f"peak {peak:.0f} MiB")
    assert peak < 2048
    assert json.loads((run / "run.json").read_text())["steps"] == len(range(0, n, EVERY)) // 128
