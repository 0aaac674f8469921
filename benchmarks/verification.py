"""What it costs to verify inputs: opening a split of 4 GiB for the first time and again, and the share of a training.

    python benchmarks/verification.py [--gib 4]

The large regions are a sparse file of zeros: hashing reads every byte of it, from memory and not from a disk. The
training is one of VSE++ over 1,000 images with 36 regions of 256 numbers, 35 MiB, whose checks are counted twice: the
first ones, and those of every later start.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from lgsf.data.checks.verified import verify_split
from lgsf.data.layout import open_dataset
from lgsf.data.text import Vocabulary
from lgsf.data.writer import DatasetWriter
from lgsf.models.build import check_settings
from lgsf.system.artefacts.inputs import MEMORY, Inputs
from lgsf.system.files import write_json
from lgsf.system.hashes import sha256
from lgsf.training.train import train

REGIONS, PER_IMAGE = 36, 5


def seconds(what: Callable[[], object]) -> float:
    start = time.perf_counter()
    what()
    return time.perf_counter() - start


def write_dataset(root: Path, images: int, dim: int) -> None:
    """Random regions and captions."""
    rng = np.random.default_rng(0)
    words = [f"word{number}" for number in range(500)]
    with DatasetWriter(root, name="made", source={"kind": "benchmark"}, protocol={"folds": 1}) as writer:
        writer.vocabulary(Vocabulary.build([" ".join(words)], min_count=1))
        for split, n in (("train", images), ("dev", 50), ("test", 50)):
            regions = rng.standard_normal((n, REGIONS, dim), np.float32)
            rows = range(n * PER_IMAGE)
            writer.split(
                split,
                images=pd.DataFrame({"image_id": [str(row) for row in range(n)], "file_name": ""}),
                captions=pd.DataFrame(
                    {
                        "caption_id": [str(row) for row in rows],
                        "image": [row // PER_IMAGE for row in rows],
                        "text": [" ".join(rng.choice(words, 10)) for _ in rows],
                    }
                ),
                shape=regions.shape, dtype=np.float32,
                blocks=[(regions, np.full(n, REGIONS, np.int32), None)], boxes=False,
            )  # fmt: skip


def enlarge(root: Path, gib: float) -> None:
    """Give the training images so many numbers per region that they fill `gib` GiB."""
    path = root / "train" / "regions.npy"
    manifest = json.loads((root / "dataset.json").read_text())
    split = manifest["splits"]["train"]
    dim = int(gib * 2**30 / (split["images"] * REGIONS * 4))
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (split["images"], REGIONS, dim)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + split["images"] * REGIONS * dim * 4)
    split["region_dim"], split["sha256"]["regions.npy"] = dim, sha256(path)
    write_json(root / "dataset.json", manifest)


def settings() -> dict[str, object]:
    raw = {
        "schema_version": 1, "dataset": "made", "method": "vsepp", "model": "baselines.vsepp:VSEPP",
        "parameters": {"embedding_dim": 256}, "device": "cpu", "threads": 1,
        "training": {"batch_size": 128, "epochs": 2},
    }  # fmt: skip
    return check_settings(raw, source="the benchmark").plain()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--gib", type=float, default=4.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data, config = Path(folder, "data"), Path(folder, "config.json")
        write_dataset(data, 1000, 256)
        write_json(config, settings())
        whole = seconds(lambda: train(config=config, dataset=data, seed=0, out=Path(folder, "run")))
        splits = open_dataset(data).manifest["splits"]

        def check() -> None:
            for name in ("train", "dev"):
                verify_split(data, name, splits[name]["sha256"], (), Inputs())

        (data / MEMORY).unlink()
        for when, time_ in (("first", seconds(check)), ("later", seconds(check))):
            print(f"a training of {whole:.1f} s: {1000 * time_:.1f} ms of {when} checks, {100 * time_ / whole:.2f} %")
        enlarge(data, given.gib)
        first, again = (seconds(lambda: open_dataset(data).split("train")) for _ in range(2))
        print(f"opening a split of {given.gib:g} GiB: {first:.2f} s the first time, {1000 * again:.0f} ms after that")


if __name__ == "__main__":
    main()
