"""What storing features more coarsely costs in rSum: the same training on the same pack, once per store and seed.

    python benchmarks/stores.py --pack data/f8k_precomp [--stores as_is int8] [--seeds 0 1 2] [--folder DIR]

prepares the pack once per store, trains and ranks VSE++ with every seed by the verbs of the command line, and
prints test rSum with its differences from the first store, seed by seed. What is in the folder already stays:
the same command goes on. A run takes about three minutes of one core on Flickr8k.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from lgsf.metrics.recall import metrics

TRAINING = {
    "batch_size": 128, "epochs": 5, "sum_steps": 468, "optimizer": "adamw", "learning_rate": 0.0005,
    "weight_decay": 0.0001, "decay_epochs": [4],
}  # fmt: skip


def verb(*arguments: object) -> None:
    """One verb of the command line in a process of its own."""
    subprocess.run([sys.executable, "-m", "lgsf", *map(str, arguments)], check=True)


def prepare(pack: Path, store: str, folder: Path) -> Path:
    """The pack as a dataset with this store."""
    data = folder / store / "data"
    settings = {"source": "precomp", "path": str(pack), "store": store}
    if not (data / "dataset.json").is_file():
        verb("prepare", "--name", "flickr8k", "--settings", json.dumps(settings), "--out", data)
    return data


def test_rsum(data: Path, seed: int) -> float:
    """rSum on test of VSE++ with this seed."""
    run, config = data.parent / f"seed{seed}", data.parent / "config.json"
    settings = {
        "dataset": "flickr8k", "method": "vsepp_warm", "model": "baselines.vsepp:VSEPP",
        "parameters": {"embedding_dim": 256, "word_dim": 300}, "training": TRAINING, "device": "cpu", "threads": 1,
    }  # fmt: skip
    if not (run / "test" / "ranks.npz").is_file():
        verb("configure", "--settings", json.dumps(settings), "--out", config)
        verb("train", "--config", config, "--dataset", data, "--seed", seed, "--out", run)
        verb("evaluate", "--run", run, "--dataset", data)
    with np.load(run / "test" / "ranks.npz", allow_pickle=False) as ranks:
        return float(metrics(ranks["i2t"], ranks["t2i"])["rsum"])


def spread(values: np.ndarray) -> str:
    return f"{values.mean():.1f} ± {values.std(ddof=1):.1f}"


def measure(arguments: argparse.Namespace, folder: Path) -> None:
    found, sizes, errors = {}, {}, {}
    for store in arguments.stores:
        data = prepare(arguments.pack, store, folder)
        split = json.loads((data / "dataset.json").read_text())["splits"]["train"]
        errors[store] = split.get("store", {}).get("mean_relative_error", 0.0)
        sizes[store] = sum(path.stat().st_size for path in (data / "train").glob("region*.npy"))
        found[store] = np.array([test_rsum(data, seed) for seed in arguments.seeds])
    first = arguments.stores[0]
    print(
        f"\n| store | MiB (train) | mean relative error | rSum of seeds {arguments.seeds} | mean ± SD | minus {first} |"
    )
    print("|---|---:|---:|---:|---:|---:|")
    for store, values in found.items():
        difference = "" if store == first else spread(values - found[first])
        each = ", ".join(f"{value:.1f}" for value in values)
        row = [store, f"{sizes[store] / 2**20:.0f}", f"{errors[store]:.5f}", each, spread(values), difference]
        print("| " + " | ".join(row) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", type=Path, default=Path("data/f8k_precomp"), help="folder of the pack")
    parser.add_argument("--stores", nargs="+", default=["as_is", "int8"], choices=["as_is", "float16", "int8"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--folder", type=Path, help="where datasets and runs go and stay; a temporary folder without")
    arguments = parser.parse_args()
    if not arguments.pack.is_dir():
        print(f"skipped: there is no pack at {arguments.pack}; name one with --pack")
        return
    if arguments.folder:
        measure(arguments, arguments.folder)
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(arguments, Path(folder))


if __name__ == "__main__":
    main()
