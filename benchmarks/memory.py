"""Peak memory of preparing a large pack and of a training epoch over it, ours against the usual loaders.

    python benchmarks/memory.py [--gib 4] [--folder DIR]

makes a feature pack of the given size in a temporary folder, then measures in one process each: the bare
imports, `prepare`, an epoch of TrainingBatches, an epoch over a memory map, and an epoch over the array
that numpy.load holds whole. Peak = VmHWM of the process; "above" is what it took beyond the imports.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from lgsf.data.batches.training import TrainingBatches
from lgsf.data.layout import open_dataset
from lgsf.data.precomp.prepare import prepare as prepare_pack
from lgsf.data.precomp.settings import PrecompSource
from lgsf.data.text import Vocabulary
from lgsf.runs.provenance import peak_memory_mb

N_REGIONS, DIM = 36, 2048  # Bottom-Up Attention features, float32: 288 KiB an image
BATCH = 128
WORDS = [
    "a",
    "man",
    "woman",
    "dog",
    "cat",
    "red",
    "blue",
    "small",
    "large",
    "runs",
    "sits",
    "near",
    "the",
    "old",
    "street",
    "on",
    "with",
    "two",
    "in",
    "park",
]


def make_pack(folder: Path, gib: float, *, captions_per_image: int = 5) -> None:
    """A pack whose training array has `gib` GiB; captions are random words."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    n_train = max(int(gib * 2**30 / (N_REGIONS * DIM * 4)), 2 * BATCH)
    base = rng.standard_normal((N_REGIONS, DIM), np.float32)
    for prefix, n in (("train", n_train), ("dev", 100), ("test", 100)):
        with (folder / f"{prefix}_ims.npy").open("wb") as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": (n, N_REGIONS, DIM)}
            np.lib.format.write_array_header_1_0(file, header)
            for shift in rng.standard_normal(n, np.float32):
                file.write((base + shift).data)
        with (folder / f"{prefix}_caps.txt").open("w", encoding="utf-8") as file:
            for words in rng.choice(WORDS, (n * captions_per_image, 10)):
                file.write(" ".join(words) + "\n")


def imports(_: Path) -> tuple[int, float]:
    return 0, 0.0


def prepare(folder: Path) -> tuple[int, float]:
    source = PrecompSource(source="precomp", path=str(folder / "pack"))
    started = time.perf_counter()
    prepare_pack(source, name="large", root=folder / "dataset")
    return 0, time.perf_counter() - started


def batches(folder: Path) -> tuple[int, float]:
    dataset = open_dataset(folder / "dataset")
    vocabulary = Vocabulary.load(folder / "dataset" / "vocabulary.json")
    training = TrainingBatches(dataset.split("train"), vocabulary, batch_size=BATCH, seed=0)
    started = time.perf_counter()
    samples = sum(len(batch.image_ids) for batch in training.epoch(0))
    return samples, time.perf_counter() - started


def _usual(regions: np.ndarray) -> tuple[int, float]:
    """An epoch as the usual data sets do it: one indexed image after the other, stacked to a batch."""
    started = time.perf_counter()
    order = np.random.default_rng(0).permutation(5 * len(regions))
    steps = len(order) // BATCH
    for step in range(steps):
        rows = order[step * BATCH : (step + 1) * BATCH] // 5
        torch.stack([torch.tensor(regions[row]) for row in rows])
    return steps * BATCH, time.perf_counter() - started


def memory_map(folder: Path) -> tuple[int, float]:
    return _usual(np.load(folder / "pack" / "train_ims.npy", mmap_mode="r"))


def whole_array(folder: Path) -> tuple[int, float]:
    return _usual(np.load(folder / "pack" / "train_ims.npy"))


PARTS: dict[str, Callable[[Path], tuple[int, float]]] = {
    part.__name__: part for part in (imports, prepare, batches, memory_map, whole_array)
}


def _measure(part: str, folder: Path) -> dict[str, float]:
    """Run one part in a process of its own."""
    command = [sys.executable, __file__, "--part", part, "--folder", str(folder)]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    measured: dict[str, float] = json.loads(result.stdout)
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gib", type=float, default=4.0, help="size of the training array")
    parser.add_argument("--folder", type=Path, help="where the temporary folder goes")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        torch.set_num_threads(1)
        samples, seconds = PARTS[arguments.part](arguments.folder)
        print(json.dumps({"samples": samples, "seconds": seconds, "peak_mib": peak_memory_mb()}))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        make_pack(Path(folder) / "pack", arguments.gib)
        measured = {part: _measure(part, Path(folder)) for part in PARTS}
    floor, ours = measured["imports"]["peak_mib"], measured["batches"]["peak_mib"]
    print(f"pack of {arguments.gib:g} GiB, {N_REGIONS} x {DIM} float32, batch {BATCH}\n")
    print("| part | peak MiB | above imports | seconds | samples/s | peak against ours |")
    print("|---|---:|---:|---:|---:|---:|")
    for part, m in measured.items():
        rate = f"{m['samples'] / m['seconds']:.0f}" if m["samples"] else ""
        ratio = f"{m['peak_mib'] / ours:.1f}x" if m["samples"] else ""
        above = m["peak_mib"] - floor
        print(f"| {part} | {m['peak_mib']:.0f} | {above:.0f} | {m['seconds']:.1f} | {rate} | {ratio} |")


if __name__ == "__main__":
    main()
