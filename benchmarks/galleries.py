"""How time and memory of ranking grow with the gallery, for a method with two encoders and for the straightforward way.

    python benchmarks/galleries.py [--images 1000 5000 25000 100000] [--captions 5] [--dim 1024] [--seconds 60]

ranks random vectors of n images and `captions` times as many captions in both directions, with lists of the best 100,
each size in a process of its own with one thread. A walk that takes longer than --seconds is broken off: its memory is
then that of the whole size (everything is allocated before the walk or in its first rows), its time is marked ~, with
the rest at the pace of the last half of the rows that were walked: the first are the dearest, since every list begins
with them. The rival makes the whole matrix and sorts it, where it fits into --memory.
Columns: processor seconds, their growth to the row before for each pair of image and caption, peak of memory in all,
vectors among it, and what the imports take.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import torch

from lgsf.metrics.ranking import rank
from lgsf.models.base import DataSpec, Encoded, Method, Parameters
from lgsf.models.scoring import TiledScores
from lgsf.runs.provenance import peak_memory_mb


class Broken(TiledScores):
    """Scores whose walk ends after some seconds of processor time; seen: (rows walked, seconds by then)."""

    seconds = 60.0

    def walk(self) -> Iterator[tuple[int, object]]:
        started = time.process_time()
        self.seen = [(0, 0.0)]
        for first, block in super().walk():
            yield first, block
            self.seen.append((first + len(block), time.process_time() - started))
            if self.seen[-1][1] > self.seconds:
                return

    def rest(self) -> float:
        """Seconds that the rows which were not walked would have taken."""
        (middle, then), (last, now) = self.seen[len(self.seen) // 2], self.seen[-1]
        return (len(self.images) - last) * (now - then) / (last - middle)


def vectors(n: int, dim: int, seed: int) -> torch.Tensor:
    """(n, dim) float32 of length one, made in their place."""
    out = torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))
    for start in range(0, n, 4096):
        part = out[start : start + 4096]
        part /= part.norm(dim=1, keepdim=True)
    return out


def ours(n: int, captions: int, dim: int, seconds: float) -> dict[str, float]:
    before = peak_memory_mb() or 0.0
    caption_image = np.repeat(np.arange(n), captions)
    method = Method(Parameters(), DataSpec(region_dim=1, vocabulary_size=1))
    images, texts = Encoded(vector=vectors(n, dim, 0)), Encoded(vector=vectors(n * captions, dim, 1))
    scores = Broken(method, images, texts)
    scores.seconds = seconds
    started = time.process_time()
    rank(scores, caption_image, np.zeros(n, np.int32))
    rest = scores.rest()
    cost = time.process_time() - started + rest
    held = 4 * dim * n * (1 + captions) / 2**20
    return {"seconds": cost, "peak": peak_memory_mb() or 0.0, "imports": before, "vectors": held, "rest": rest}


def straightforward(n: int, captions: int, dim: int, seconds: float) -> dict[str, float]:
    """The field's way: one matrix, an argsort of every row and column, a search for the right one."""
    before = peak_memory_mb() or 0.0
    images, texts = vectors(n, dim, 0).numpy(), vectors(n * captions, dim, 1).numpy()
    started = time.process_time()
    matrix = images @ texts.T
    i2t, t2i = np.zeros(n, np.int32), np.zeros(n * captions, np.int32)
    for image, row in enumerate(matrix):
        order = np.argsort(row)[::-1]
        i2t[image] = np.flatnonzero(order // captions == image)[0]
    for caption, column in enumerate(matrix.T):
        t2i[caption] = np.flatnonzero(np.argsort(column)[::-1] == caption // captions)[0]
    cost = time.process_time() - started
    held = 4 * dim * n * (1 + captions) / 2**20
    return {"seconds": cost, "peak": peak_memory_mb() or 0.0, "imports": before, "vectors": held, "rest": 0.0}


def measure(task: str, n: int, arguments: argparse.Namespace) -> dict[str, float]:
    """One size in a process of its own."""
    command = [sys.executable, __file__, "--task", task, "--images", str(n), "--captions", str(arguments.captions)]
    command += ["--dim", str(arguments.dim), "--seconds", str(arguments.seconds)]
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(result.stdout)
    return found


def table(arguments: argparse.Namespace) -> None:
    print(f"{arguments.captions} captions an image, vectors of {arguments.dim} numbers, one thread\n")
    print("| way | images x captions | processor s | ns a pair | growth | peak MiB | vectors | imports |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for task in ("straightforward", "ours"):
        before = None
        for n in arguments.images:
            matrix = 4 * n * n * arguments.captions / 2**20
            if task == "straightforward" and matrix > arguments.memory:
                continue
            found = measure(task, n, arguments)
            each = 1e9 * found["seconds"] / (n * n * arguments.captions)
            growth = "" if before is None else f"{each / before:.2f}"
            before = each
            cells = [task, f"{n:,} x {n * arguments.captions:,}"]
            cells += [f"{'' if found['rest'] == 0 else '~'}{found['seconds']:.1f}", f"{each:.2f}", growth]
            cells += [f"{found[name]:.0f}" for name in ("peak", "vectors", "imports")]
            print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 5000, 25_000, 100_000])
    parser.add_argument("--captions", type=int, default=5)
    parser.add_argument("--dim", type=int, default=1024)
    parser.add_argument("--seconds", type=float, default=60.0, help="of a walk, before it is broken off")
    parser.add_argument("--memory", type=float, default=2048.0, help="MiB that the rival's matrix may take")
    parser.add_argument("--task", choices=("ours", "straightforward"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.task is None:
        table(arguments)
        return
    torch.set_num_threads(1)
    way = ours if arguments.task == "ours" else straightforward
    print(json.dumps(way(arguments.images[0], arguments.captions, arguments.dim, arguments.seconds)))


if __name__ == "__main__":
    main()
