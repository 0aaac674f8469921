"""What one training step of each method costs at the size of config/flickr8k.yaml: prints a Markdown table.

    python benchmarks/training_step.py                     # some minutes on one core
    python benchmarks/training_step.py --device cuda
    python benchmarks/training_step.py --methods lgsf base vsepp

A step is encoding, loss, backward, clipping and AdamW on a batch of 128 pairs of made-up features (36 regions of 256
numbers, 9 to 17 words), with hardest negatives and everything that training alone uses switched on. Each method runs
in a process of its own, so that its peak memory is its own; VSE++ is what the others are divided by.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
import yaml

from lgsf.config.file import Config
from lgsf.config.run_settings import RunSettings
from lgsf.data.batches.batch import Batch
from lgsf.models.base import DataSpec, Progress
from lgsf.models.build import check_settings, make_repeatable, method_class, parameters_of
from lgsf.runs.provenance import device_name, peak_gpu_memory_mb, peak_memory_mb
from lgsf.system.settings import deep_merge

ROOT = Path(__file__).resolve().parent.parent
METHODS = ("vsepp", "base", "no_gat", "lgsf", "vse_inf", "scan_t2i", "scan_i2t", "sgr", "saf", "vsrn", "hrem")
REFERENCE = "vsepp"
BATCH, REGIONS, REGION_DIM, VOCABULARY = 128, 36, 256, 3000


def settings_of(name: str) -> RunSettings:
    """The method's settings for Flickr8k, defaults filled in."""
    default, flickr = (yaml.safe_load((ROOT / f"config/{f}.yaml").read_text()) for f in ("config", "flickr8k"))
    config = Config.parse(deep_merge(default, flickr), source="config/flickr8k.yaml")
    return check_settings(config.run_settings("flickr8k", name), source="config/flickr8k.yaml")


def made_up_batch(generator: torch.Generator) -> Batch:
    """Random pairs, all of different images."""
    lengths = torch.randint(9, 18, (BATCH,), generator=generator)
    mask = torch.arange(int(lengths.max())) < lengths[:, None]
    tokens = torch.randint(5, VOCABULARY, mask.shape, generator=generator) * mask
    return Batch(
        regions=torch.randn(BATCH, REGIONS, REGION_DIM, generator=generator),
        region_mask=torch.ones(BATCH, REGIONS, dtype=torch.bool),
        boxes=None,
        tokens=tokens,
        token_mask=mask,
        image_ids=torch.arange(BATCH),
    )


def measure(name: str, device: torch.device, *, steps: int, threads: int) -> dict[str, float | None]:
    """Median seconds of a step after one to warm up, parameters, and the peak memory of this process in MiB."""
    make_repeatable(device, threads)
    torch.manual_seed(0)
    settings = settings_of(name)
    options = parameters_of(settings, source=name)
    spec = DataSpec(region_dim=REGION_DIM, vocabulary_size=VOCABULARY)
    method = method_class(settings.model, source=name)(options, spec).to(device).train()
    optimizer = torch.optim.AdamW(method.parameters(), lr=1e-4, fused=True)
    generator = torch.Generator().manual_seed(0)
    progress = Progress(step=10**6 - 1, total_steps=10**6, hardest=True)
    seconds = []
    for _ in range(steps + 1):
        batch = made_up_batch(generator).to(device)
        begin = time.perf_counter()
        images = method.encode_images(batch.regions, batch.region_mask, batch.boxes)
        texts = method.encode_texts(batch.tokens, batch.token_mask)
        loss, _ = method.loss(batch, images, texts, progress)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(method.parameters(), 2.0)
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - begin)
    memory = peak_gpu_memory_mb(device)
    return {
        "seconds": statistics.median(seconds[1:]),
        "parameters": float(sum(p.numel() for p in method.parameters())),
        "memory": peak_memory_mb() if memory is None else memory,
    }


def main() -> None:
    """Run every method in its own process and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--only", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    if arguments.only:
        print(json.dumps(measure(arguments.only, device, steps=arguments.steps, threads=arguments.threads)))
        return
    print(f"{device_name(device)}, {arguments.threads} thread(s), torch {torch.__version__}\n")
    print("| method | ms per step | steps per second | against VSE++ | parameters, million | peak MiB |")
    print("|---|---:|---:|---:|---:|---:|", flush=True)
    reference: float | None = None
    for name in dict.fromkeys([REFERENCE, *arguments.methods]):
        command = [sys.executable, __file__, "--device", arguments.device, "--threads", str(arguments.threads)]
        command += ["--steps", str(arguments.steps), "--only", name]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        reference = reference or found["seconds"]
        print(
            f"| {name} | {1000 * found['seconds']:.0f} | {1 / found['seconds']:.2f} | {found['seconds'] / reference:.1f} |"
            f" {found['parameters'] / 1e6:.1f} | {found['memory']:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
