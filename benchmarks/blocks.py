"""How fast the blocks of the models are against the straightforward way, in one run: prints a Markdown table.

    python benchmarks/blocks.py               # under a minute on one core
    python benchmarks/blocks.py --device cuda

Every task is forward and backward. "plain" is what a reader of the paper would write with torch: for GATv2 the
tensor of all sums of two regions (`cdist`: the same sum as two L1 distances), for the GRU torch.nn.GRU on packed
sequences over embedded words, for pooling torch.sort. Ours and the others take turns, the fastest turn counts.
Memory is what a task takes above its inputs (Linux with glibc, or CUDA).
"""

from __future__ import annotations

import argparse
import ctypes
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lgsf.models.graph.edge_scores import SLOPE, edge_scores_v2
from lgsf.models.layers.encoders import BiGRUEncoder
from lgsf.models.layers.pooling import sorted_sum
from lgsf.runs.provenance import device_name, peak_gpu_memory_mb, peak_memory_mb

BATCH = 128
# title, regions, words, word vectors, vocabulary, embedding, heads
SIZES = (("Scenes", 12, 15, 128, 150, 128, 8), ("Flickr8k", 36, 13, 300, 3000, 512, 8))
Task = Callable[[], tuple[Tensor, ...]]


def gatv2(n_regions: int, dim: int, heads: int, device: str) -> dict[str, Task]:
    """Scores of all edges and their gradients."""
    generator = torch.Generator().manual_seed(0)
    given = [
        torch.randn(shape, generator=generator).to(device).requires_grad_()
        for shape in ((BATCH, n_regions, dim), (BATCH, n_regions, dim), (heads, dim // heads))
    ]
    upstream = torch.randn(BATCH, heads, n_regions, n_regions, generator=generator).to(device)

    def plain(sources: Tensor, targets: Tensor, attention: Tensor) -> Tensor:
        left, right = (x.unflatten(2, attention.shape).transpose(1, 2) for x in (sources, targets))  # type: ignore[no-untyped-call]
        sums = right.unsqueeze(3) + left.unsqueeze(2)
        return torch.einsum("bhijc,hc->bhij", F.leaky_relu(sums, SLOPE), attention)

    def cdist(sources: Tensor, targets: Tensor, attention: Tensor) -> Tensor:
        left, right = (x.unflatten(2, attention.shape).transpose(1, 2) for x in (sources, targets))  # type: ignore[no-untyped-call]
        linear = right @ attention.unsqueeze(2) + (left @ attention.unsqueeze(2)).transpose(2, 3)
        positive, negative = (part.clamp(min=0).unsqueeze(1) for part in (attention, -attention))
        distance = torch.cdist(right * positive, -left * positive, p=1.0)
        distance = distance - torch.cdist(right * negative, -left * negative, p=1.0)
        out: Tensor = (1 + SLOPE) / 2 * linear + (1 - SLOPE) / 2 * distance
        return out

    def task(scores: Callable[..., Tensor]) -> Task:
        def run() -> tuple[Tensor, ...]:
            out = scores(*given)
            return out.detach(), *torch.autograd.grad(out, given, upstream)

        return run

    return {"plain": task(plain), "cdist": task(cdist), "ours": task(edge_scores_v2)}


def bigru(n_words: int, word_dim: int, vocabulary: int, dim: int, device: str) -> dict[str, Task]:
    """States of both directions averaged, and the gradients of all weights."""
    torch.manual_seed(0)
    encoder = BiGRUEncoder(vocabulary_size=vocabulary, word_dim=word_dim, dim=dim).to(device)
    library = nn.GRU(word_dim, dim, batch_first=True, bidirectional=True).to(device)
    library.load_state_dict(encoder.rnn.state_dict())
    lengths = torch.randint(n_words // 2, n_words + 1, (BATCH,))
    lengths[0] = n_words
    mask = (torch.arange(n_words) < lengths[:, None]).to(device)
    frequent = torch.rand(BATCH, n_words).pow(3)  # small numbers are frequent words
    tokens = (1 + frequent * (vocabulary - 1)).long().to(device) * mask
    upstream = torch.randn(BATCH, n_words, dim, device=device)

    def packed() -> tuple[Tensor, ...]:
        inputs = pack_padded_sequence(encoder.embed(tokens), lengths, batch_first=True, enforce_sorted=False)
        padded: Tensor = pad_packed_sequence(library(inputs)[0], batch_first=True)[0]
        states = padded.unflatten(2, (2, dim)).mean(2)  # type: ignore[no-untyped-call]
        weights = [encoder.embed.weight, *library.parameters()]
        return states.detach(), *torch.autograd.grad(states, weights, upstream)

    def ours() -> tuple[Tensor, ...]:
        states = encoder(tokens, mask)
        weights = [encoder.embed.weight, *(encoder.rnn.get_parameter(n) for n, _ in library.named_parameters())]
        return states.detach(), *torch.autograd.grad(states, weights, upstream)

    return {"plain": packed, "ours": ours}


def pooling(length: int, dim: int, device: str) -> dict[str, Task]:
    """Weighted sum of the sorted values of each dimension, as GPO takes it, and its gradients."""
    torch.manual_seed(0)
    mask = (torch.arange(length) < torch.randint(length // 2, length + 1, (BATCH, 1))).to(device)
    fragments = torch.randn(BATCH, length, dim, device=device, requires_grad=True)
    weights = (torch.rand(BATCH, length, device=device) * mask).requires_grad_()
    upstream = torch.randn(BATCH, dim, device=device)

    def plain(fragments: Tensor, mask: Tensor, weights: Tensor) -> Tensor:
        values = fragments.masked_fill(~mask.unsqueeze(2), -torch.inf).sort(dim=1, descending=True).values
        return torch.bmm(weights.unsqueeze(1), values.masked_fill(values == -torch.inf, 0.0)).squeeze(1)

    def task(pool: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Task:
        def run() -> tuple[Tensor, ...]:
            out = pool(fragments, mask, weights)
            return out.detach(), *torch.autograd.grad(out, (fragments, weights), upstream)

        return run

    return {"plain": task(plain), "ours": task(sorted_sum)}


def measure(tasks: dict[str, Task], repeats: int, device: torch.device) -> dict[str, tuple[float, float]]:
    """Least milliseconds of each task, the tasks taking turns, and MiB above what was held before."""
    memory, fastest = {}, dict.fromkeys(tasks, float("inf"))
    for name, task in tasks.items():
        before = reset_peak(device)
        task()
        memory[name] = (peak_gpu_memory_mb(device) or peak_memory_mb()) - before
    for _ in range(repeats):
        for name, task in tasks.items():
            started = time.perf_counter()
            task()
            if device.type == "cuda":
                torch.cuda.synchronize()
            fastest[name] = min(fastest[name], 1000 * (time.perf_counter() - started))
    return {name: (fastest[name], memory[name]) for name in tasks}


def reset_peak(device: torch.device) -> float:
    """Forget the peak so far; returns the MiB that are held now."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() / 2**20
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # give back what earlier tasks freed, else it hides the next task's need
    Path("/proc/self/clear_refs").write_text("5")  # sets VmHWM to the present size
    return peak_memory_mb()


def difference(ours: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    """Largest difference of values and gradients, relative to the largest entry of each."""
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(ours, other, strict=True))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads; a trainer takes one")
    parser.add_argument("--repeats", type=int, default=10, help="turns of each task, of which the fastest counts")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    print(f"{device_name(device)}, {options.threads} threads, torch {torch.__version__}; batch {BATCH}\n")
    print("| block | size | way | ms | ours is faster | MiB | relative difference to ours |")
    print("|---|---|---|---:|---:|---:|---:|")
    for title, n_regions, n_words, word_dim, vocabulary, dim, heads in SIZES:
        for block, tasks in (
            (f"GATv2 scores, {n_regions} regions", gatv2(n_regions, dim, heads, options.device)),
            (f"BiGRU, {n_words} words", bigru(n_words, word_dim, vocabulary, dim, options.device)),
            (f"sorted pooling, {n_regions} regions", pooling(n_regions, dim, options.device)),
        ):
            results = {name: task() for name, task in tasks.items()}  # warms up, too
            figures = measure(tasks, options.repeats, device)
            for name, (took, memory) in figures.items():
                ratio = took / figures["ours"][0]
                print(f"| {block} | {title}, {dim}-d | {name} | {took:.1f} | {ratio:.1f}x | {memory:.0f} "
                      f"| {difference(results['ours'], results[name]):.0e} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
