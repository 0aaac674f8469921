"""How fast cross-attention similarity is against a loop over captions, in one run: prints a Markdown table.

    python benchmarks/similarity.py                                # under two minutes on two cores
    python benchmarks/similarity.py --images 1000 --captions 5000 --loop-captions 500  # scoring a 1K test fold
    python benchmarks/similarity.py --device cuda --images 1000 --captions 5000

The loop is what the published codes do, in float32 and over true lengths: per caption two batched products
and a cosine on (images x words x dim) tensors. "step" is a training step's similarity of 128 x 128, forward and
backward; "scoring" is forward alone in shards of 128 images. Memory is what a task takes above its inputs.
"Bound" is the ratio that a kernel would have that did nothing but multiply every region with every word (a step: and
the two products of the backward pass): no exact float32 kernel that forms these products can be above it.
The loop takes the same time for every caption: with --loop-captions it scores the first N alone, its seconds are
scaled to all of them and marked with a tilde, and the difference is that of these N.
"""

from __future__ import annotations

import argparse
import ctypes
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from lgsf.models.layers.attention import CrossAttention
from lgsf.models.scoring import IMAGE_TILE, TEXT_TILE
from lgsf.runs.provenance import device_name, peak_gpu_memory_mb, peak_memory_mb

REGIONS, BATCH = 36, 128
SCALE = {"t2i": (9.0, 6.0), "i2t": (4.0, 5.0)}  # the authors' lambdas for Flickr30K, LogSumExp

Task = Callable[["Data", str], tuple[Tensor, ...]]


@dataclass
class Data:
    """Unit vectors (n_images, REGIONS, dim) and, padded with zeros, (n_captions, n_words, dim); captions' lengths."""

    images: Tensor
    captions: Tensor
    lengths: list[int]

    @staticmethod
    def make(images: int, captions: int, dim: int, device: str) -> Data:
        """Random vectors; captions have 7 to 30 tokens with <start> and <end>, 12.5 on average, as COCO's do."""
        generator = torch.Generator().manual_seed(0)
        lengths = (7 + torch.poisson(torch.full((captions,), 5.5), generator=generator)).clamp(max=30).long()
        regions = F.normalize(torch.randn(images, REGIONS, dim, generator=generator), dim=-1)
        words = F.normalize(torch.randn(captions, int(lengths.max()), dim, generator=generator), dim=-1)
        words.masked_fill_((torch.arange(words.shape[1]) >= lengths[:, None])[..., None], 0)
        return Data(regions.to(device), words.to(device), lengths.tolist())

    def first(self, captions: int | None) -> Data:
        """The same images with the first captions alone; with all of them for None."""
        return Data(self.images, self.captions[:captions], self.lengths[:captions])

    def masks(self) -> tuple[Tensor, Tensor]:
        """Of regions (all valid) and of words."""
        device = self.images.device
        words = torch.arange(self.captions.shape[1], device=device)
        region_mask = torch.ones(self.images.shape[:2], dtype=torch.bool, device=device)
        return region_mask, words < torch.tensor(self.lengths, device=device)[:, None]


def ours(data: Data, direction: str) -> Tensor:
    """The kernel that the models use, in the tiles of evaluation."""
    softmax, lse = SCALE[direction]
    attention = CrossAttention(inverse_temperature=softmax, aggregation="lse", lse_scale=lse)
    (regions, words), rows = data.masks(), []
    for i in range(0, len(data.images), IMAGE_TILE):
        row = []
        for j in range(0, len(data.captions), TEXT_TILE):
            image, text = slice(i, i + IMAGE_TILE), slice(j, j + TEXT_TILE)
            images = data.images[image], regions[image]
            texts = data.captions[text], words[text]
            row.append(attention(*texts, *images).T if direction == "t2i" else attention(*images, *texts))
        rows.append(torch.cat(row, 1))
    return torch.cat(rows)


def loop(data: Data, direction: str) -> Tensor:
    """Caption by caption, with the attended vectors written out."""
    softmax, lse = SCALE[direction]
    # Cut once: a slice per use would add its own zero-filled gradient per caption, which is not the loop's fault.
    captions = [caption[:n] for caption, n in zip(data.captions.unbind(), data.lengths, strict=True)]
    rows = []
    for images in torch.split(data.images, BATCH):
        columns = []
        for caption in captions:
            words = caption.expand(len(images), -1, -1)
            query, source = (words, images) if direction == "t2i" else (images, words)
            logits = F.leaky_relu(torch.bmm(source, query.transpose(1, 2)), 0.1)
            logits = logits / (logits.square().sum(2, keepdim=True).sqrt() + 1e-8)
            attended = torch.bmm(torch.softmax(softmax * logits.transpose(1, 2), 2), source)
            cosine = F.cosine_similarity(query, attended, dim=2)
            columns.append(torch.logsumexp(lse * cosine, 1) / lse)
        rows.append(torch.stack(columns, 1))
    return torch.cat(rows)


def step(similarity: Callable[[Data, str], Tensor]) -> Task:
    """Scores of one batch and the gradients of a loss of them."""

    def run(data: Data, direction: str) -> tuple[Tensor, ...]:
        leaves = data.images.requires_grad_(), data.captions.requires_grad_()
        scores = similarity(data, direction)
        weights = torch.linspace(-1, 1, scores.numel(), device=scores.device).view_as(scores)
        return scores.detach(), *torch.autograd.grad((scores * weights).sum(), leaves)

    return run


def scoring(similarity: Callable[[Data, str], Tensor]) -> Task:
    """Scores alone."""

    def run(data: Data, direction: str) -> tuple[Tensor, ...]:
        with torch.inference_mode():
            return (similarity(data, direction),)

    return run


def products(data: Data, *, backward: bool) -> float:
    """Seconds of the inner products of all regions and words in the tiles of `ours`; `backward` for both gradients."""
    _, mask = data.masks()
    seconds = 0.0
    for i in range(0, len(data.images), IMAGE_TILE):
        regions = data.images[i : i + IMAGE_TILE].flatten(0, 1)
        for j in range(0, len(data.captions), TEXT_TILE):
            words = data.captions[j : j + TEXT_TILE][mask[j : j + TEXT_TILE]]
            started = time.perf_counter()
            # As many words at once as the products fit the memory that `ours` may take.
            for part in words.split(max(1, 2**26 // len(regions))):  # type: ignore[no-untyped-call]
                out = part @ regions.T
                if backward:
                    _ = out @ regions, out.T @ part
            if regions.is_cuda:
                torch.cuda.synchronize()
            seconds += time.perf_counter() - started
    return seconds


def measure(task: Task, data: Data, direction: str, repeats: int) -> tuple[float, float, tuple[Tensor, ...]]:
    """Least seconds of `repeats` runs, peak MiB above what was held before, results."""
    best, device = float("inf"), data.images.device
    before = reset_peak(device)
    for _ in range(repeats):
        started = time.perf_counter()
        results = task(data, direction)
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
    return best, (peak_gpu_memory_mb(device) or peak_memory_mb()) - before, results


def reset_peak(device: torch.device) -> float:
    """Forget the peak so far; returns the MiB that are held now. On a CPU this needs Linux with glibc."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() / 2**20
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # give back what earlier tasks freed, else it hides the next task's need
    Path("/proc/self/clear_refs").write_text("5")  # sets VmHWM to the present size
    return peak_memory_mb()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--dim", type=int, default=1024, help="width of the vectors")
    parser.add_argument("--images", type=int, default=256, help="images to score; the loop's time grows with pairs")
    parser.add_argument("--captions", type=int, default=1024, help="captions to score")
    parser.add_argument(
        "--loop-captions", type=int, metavar="N", help="let the loop score N captions and scale its time"
    )
    parser.add_argument("--repeats", type=int, default=3, help="runs of a task, of which the fastest counts")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    # Warm up the libraries, so that neither side pays for their start.
    small = Data.make(8, 8, options.dim, options.device)
    for similarity in (ours, loop):
        step(similarity)(small, "t2i")

    print(
        f"{device_name(torch.device(options.device))}, {options.threads} threads, torch {torch.__version__}; ", end=""
    )
    print(f"{REGIONS} regions, {options.dim}-d, float32\n")
    print("| task | images x captions | loop s | ours s | ratio | bound | loop MiB | ours MiB | largest difference |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    sizes = [(step, "step", BATCH, BATCH), (scoring, "scoring", options.images, options.captions)]
    for make_task, name, n_images, n_captions in sizes:
        for direction in SCALE:
            data = Data.make(n_images, n_captions, options.dim, options.device)
            repeats = options.repeats if n_images * n_captions <= 2**18 else 1
            fast, fast_mb, scores = measure(make_task(ours), data, direction, repeats)
            with torch.inference_mode():
                least = min(products(data, backward=name == "step") for _ in range(repeats))
            few = options.loop_captions if name == "scoring" else None
            slow, slow_mb, expected = measure(make_task(loop), data.first(few), direction, repeats)
            scale = n_captions / expected[0].shape[1]
            slow, about = slow * scale, "~" * (scale != 1)
            if few:
                scores = (scores[0][:, :few],)
            difference = max(float((a - b).abs().max()) for a, b in zip(scores, expected, strict=True))
            print(f"| {name} {direction} | {n_images} x {n_captions} | {about}{slow:.2f} | {fast:.2f} | {slow / fast:.1f}x "
                  f"| {slow / least:.1f}x | {slow_mb:.0f} | {fast_mb:.0f} | {difference:.1e} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
