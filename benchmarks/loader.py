"""How fast regions come from the disk, as float32, float16 and int8, against a memory map and numpy.load of everything.

    python benchmarks/loader.py [--gib 2] [--folder DIR] [--batch 128] [--regions 36] [--dim 2048] [--stores float32 ...]

makes a dataset of the given size (as float32) per store in a temporary folder and reads shuffled epochs of training
batches with 20 % of the regions dropped, each in a process of its own: cold (the file is not in memory) and warm, with
one and several threads that make batches. The rivals index a memory map with a batch of rows, or load the whole array
first, and stack the same batches from it. "Features on the device" is what is left for the processor where a GPU holds
the features: draws, places, words. "Core ms" is processor time of all threads per 256 images, the ratio is to ours with
one thread. The last table trains VSE++ for a few steps and says which share of the time the trainer waited for its next
batch.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lgsf.config.run_settings import RunSettings, Training
from lgsf.data.batches.batch import Batch
from lgsf.data.batches.resident import ResidentImages
from lgsf.data.batches.training import TrainingBatches
from lgsf.data.layout import Split, open_dataset
from lgsf.data.source import Store
from lgsf.data.text import Vocabulary
from lgsf.data.writer import Block, DatasetWriter
from lgsf.models.base import Progress
from lgsf.models.build import build_method
from lgsf.runs.provenance import peak_memory_mb

STORES: dict[str, Store] = {"float32": "as_is", "float16": "float16", "int8": "int8"}
DROP = 0.2
BLOCK = 256


def make_dataset(root: Path, store: Store, n_images: int, n_regions: int, dim: int) -> None:
    """Random features that are written block by block, one caption per image; dev and test are small."""
    random = np.random.default_rng(0)
    base = random.standard_normal((BLOCK, n_regions, dim), np.float32)

    def blocks(name: str, n: int) -> Iterator[Block]:
        for start in range(0, n, BLOCK):
            size = min(BLOCK, n - start)
            yield (
                base[:size] + np.float32(ord(name[0]) + ord(name[1]) + start / n),
                np.full(size, n_regions, np.int32),
                None,
            )

    with DatasetWriter(root, name="large", source={"kind": "random"}, protocol={"folds": 1}, store=store) as writer:
        text = "a man in a red coat walks two old dogs near the park"
        writer.vocabulary(Vocabulary.build([text], min_count=1))
        for name, n in (("train", n_images), ("dev", 64), ("test", 48)):
            images = pd.DataFrame({"image_id": [str(i) for i in range(n)], "file_name": ""})
            captions = pd.DataFrame({"caption_id": images["image_id"], "image": np.arange(n), "text": f"{name} {text}"})
            writer.split(
                name, images=images, captions=captions, shape=(n, n_regions, dim), dtype=np.float32, blocks=blocks(name, n),
                boxes=False,
            )  # fmt: skip


def forget(split: Split) -> None:
    """Take the split's regions out of the system's memory (written pages go to the disk first)."""
    for path in split.regions.path.parent.glob("region*.npy"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


READERS = {"ours, 1 thread": "1", "ours, 2 threads": "2", "features on the device, 1 thread": "device"}
RIVALS = {"`memmap[rows]`": "map", "`np.load` of everything": "array"}  # of float32


def straightforward(split: Split, batch: int, reader: str) -> int:
    """One indexed image after the other from an array in memory, or a batch of rows from a map, as usual data sets do."""
    regions = np.load(split.regions.path, mmap_mode="r" if reader == "map" else None)
    random = np.random.default_rng(0)
    order = random.permutation(len(regions))
    steps = len(order) // batch
    for step in range(steps):
        rows = order[step * batch : (step + 1) * batch]
        images = regions[rows] if reader == "map" else [regions[row] for row in rows]
        kept = [image[random.random(len(image)) >= DROP] for image in images]
        torch.nn.utils.rnn.pad_sequence([torch.tensor(values) for values in kept], batch_first=True)
    return steps * batch


class OnDevice(ResidentImages):
    """The features of a device that is not there: places are found, nothing is gathered."""

    def __init__(self, split: Split) -> None:
        self._width, self._zero, self._boxes = split.regions.shape[1], math.prod(split.regions.shape[:2]), None

    def finish(self, batch: Batch) -> Batch:
        return batch


def read(arguments: argparse.Namespace) -> dict[str, float]:
    """Samples, seconds and processor time of one epoch."""
    dataset = open_dataset(arguments.folder)
    split, vocabulary = dataset.split("train"), Vocabulary.load(dataset.root / "vocabulary.json")
    rival, reader = arguments.reader in RIVALS.values(), arguments.reader
    batches = TrainingBatches(  # words are encoded here, once for all epochs
        split, vocabulary, batch_size=arguments.batch, seed=0, region_drop=DROP, workers=2 if reader == "2" else 1
    )
    if reader == "device":
        batches._images = OnDevice(split)

    def epoch() -> int:
        if rival:
            return straightforward(split, arguments.batch, reader)
        return sum(len(made.image_ids) for made in batches.epoch(0))

    if arguments.cold:
        forget(split)
    else:
        epoch()
    started, processor = time.perf_counter(), time.process_time()
    samples = epoch()
    seconds, processor = time.perf_counter() - started, time.process_time() - processor
    return {"samples": samples, "seconds": seconds, "processor": processor, "peak": peak_memory_mb()}


def train(arguments: argparse.Namespace) -> dict[str, float]:
    """Seconds of some training steps of VSE++, and how much of it the trainer waited."""
    dataset = open_dataset(arguments.folder)
    split, vocabulary = dataset.split("train"), Vocabulary.load(dataset.root / "vocabulary.json")
    settings = RunSettings(
        dataset="large", method="vsepp", model="baselines.vsepp:VSEPP", parameters={"embedding_dim": 1024},
        training=Training(), device="cpu", threads=1,
    )  # fmt: skip
    method = build_method(settings, dataset)
    optimizer = torch.optim.Adam(method.parameters(), 2e-4)
    batches = TrainingBatches(split, method.tokenizer(vocabulary), batch_size=arguments.batch, seed=0, region_drop=DROP)
    if arguments.cold:
        forget(split)
    waited, steps = 0.0, 12
    made = chain.from_iterable(map(batches.epoch, count()))  # a small file has fewer batches than steps
    next(made)
    started = time.perf_counter()
    for _ in range(steps):
        asked = time.perf_counter()
        batch = next(made)
        waited += time.perf_counter() - asked
        images, texts = (
            method.encode_images(batch.regions, batch.region_mask),
            method.encode_texts(batch.tokens, batch.token_mask),
        )
        loss, _ = method.loss(batch, images, texts, Progress(step=0, total_steps=steps, hardest=True))
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    return {"steps": steps, "seconds": time.perf_counter() - started, "waited": waited}


def measure(task: str, folder: Path, batch: int, *, cold: bool, reader: str = "1") -> dict[str, float]:
    """One measurement in a process of its own."""
    command = [sys.executable, __file__, "--task", task, "--folder", str(folder), "--batch", str(batch)]
    command += ["--reader", reader, *(["--cold"] if cold else [])]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(result.stdout)
    return found


def tables(arguments: argparse.Namespace, folder: Path) -> None:
    n_images = int(arguments.gib * 2**30 / (arguments.regions * arguments.dim * 4))
    for name in arguments.stores:
        make_dataset(folder / name, STORES[name], n_images, arguments.regions, arguments.dim)
    print(f"{n_images} images of {arguments.regions} x {arguments.dim}, batch {arguments.batch}\n")
    print("| store | reader | cold, samples/s | warm, samples/s | warm, core ms per 256 | ratio | peak MiB |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for name in arguments.stores:
        ours = None
        for title, reader in (READERS | (RIVALS if name == "float32" else {})).items():
            warm = measure("read", folder / name, arguments.batch, cold=False, reader=reader)
            core = 256e3 * warm["processor"] / warm["samples"]
            ours = core if ours is None else ours
            cold = None
            if reader != "device":
                cold = measure("read", folder / name, arguments.batch, cold=True, reader=reader)
            rates = [f"{m['samples'] / m['seconds']:.0f}" if m else "" for m in (cold, warm)]
            cells = [name, title, *rates, f"{core:.1f}", f"{core / ours:.2f}", f"{warm['peak']:.0f}"]
            print("| " + " | ".join(cells) + " |", flush=True)
    print("\n| store | cold, ms per step | waiting | warm, ms per step | waiting |")
    print("|---|---:|---:|---:|---:|")
    for name in arguments.stores:
        cells = []
        for cold_or_warm in (True, False):
            m = measure("train", folder / name, arguments.batch, cold=cold_or_warm)
            cells += [f"{1e3 * m['seconds'] / m['steps']:.0f}", f"{m['waited'] / m['seconds']:.1%}"]
        print("| " + " | ".join([name, *cells]) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gib", type=float, default=2.0, help="size of the training array as float32")
    parser.add_argument("--folder", type=Path, help="where the temporary folder goes")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--regions", type=int, default=36)
    parser.add_argument("--dim", type=int, default=2048)
    parser.add_argument("--stores", nargs="+", choices=STORES, default=list(STORES))
    parser.add_argument("--task", choices=("read", "train"), help=argparse.SUPPRESS)
    parser.add_argument("--reader", default="1", help=argparse.SUPPRESS)
    parser.add_argument("--cold", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.task:
        torch.set_num_threads(1)
        print(json.dumps((read if arguments.task == "read" else train)(arguments)))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        tables(arguments, Path(folder))


if __name__ == "__main__":
    main()
