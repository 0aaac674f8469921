"""What it costs to verify inputs: opening a split of 4 GiB for the first time and again, and the share of a training.

    python benchmarks/verification.py [--gib 4]

The regions are a sparse file of zeros: hashing reads every byte of it, from memory and not from a disk. The share of
a training is measured on the tiny dataset, whose every file is small and therefore hashed at every start.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lgsf.data.layout import open_dataset
from lgsf.data.verified import verify_split
from lgsf.system.artefacts.inputs import Inputs
from lgsf.system.files import write_json
from lgsf.system.hashes import sha256
from lgsf.training.train import train
from tests.conftest import write_config, write_tiny_dataset


def seconds(what: Callable[[], object]) -> float:
    start = time.perf_counter()
    what()
    return time.perf_counter() - start


def write_large(root: Path, gib: float) -> None:
    """The tiny dataset, whose training split has so many regions per image that they fill `gib` GiB."""
    write_tiny_dataset(root)
    path = root / "train" / "regions.npy"
    manifest = json.loads((root / "dataset.json").read_text())
    split = manifest["splits"]["train"]
    dim = int(gib * 2**30 / (split["images"] * split["n_regions"] * 4))
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (split["images"], split["n_regions"], dim)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + split["images"] * split["n_regions"] * dim * 4)
    split["region_dim"], split["sha256"]["regions.npy"] = dim, sha256(path)
    write_json(root / "dataset.json", manifest)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--gib", type=float, default=4.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        large, tiny = Path(folder, "large"), Path(folder, "tiny")
        write_large(large, given.gib)
        first, again = (seconds(lambda: open_dataset(large).split("train")) for _ in range(2))
        print(f"opening a split of {given.gib:g} GiB: {first:.2f} s the first time, {1000 * again:.0f} ms after that")
        write_tiny_dataset(tiny)
        config = write_config(Path(folder, "config.json"), epochs=20)
        whole = seconds(lambda: train(config=config, dataset=tiny, seed=0, out=Path(folder, "run")))
        splits = open_dataset(tiny).manifest["splits"]
        checks = seconds(lambda: [verify_split(tiny, s, splits[s]["sha256"], (), Inputs()) for s in ("train", "dev")])
        share = 100 * checks / whole
        print(f"a training of {whole:.1f} s on small files: {1000 * checks:.1f} ms of verification, {share:.3f} %")


if __name__ == "__main__":
    main()
