"""A made-up results folder for tests of tables and report: 4 methods x 3 seeds, two absent, and controls."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from lgsf.config.experiment import Experiment
from lgsf.metrics.names import HEADLINE
from lgsf.tables.write import write_tables
from lgsf.verdict.compare import compare

SEEDS = (0, 1, 2)
# name, title, how often the right candidate is first, epoch after which the plateau is left
METHODS = (
    ("lgsf", "LGSF", 0.46, 3),
    ("base", "Base (all parts off)", 0.42, 2),
    ("no_gat", "LGSF without GAT", 0.44, 2),
    ("vsepp", "VSE++", 0.36, 5),
)
CONTROLS = ("random", "oracle")
FEATURES = "toy"
PUBLISHED = Path(__file__).parents[2] / "config" / "published.csv"
IMAGES, PER_IMAGE, EPOCHS, STEPS = 60, 5, 12, 40
CHOICES = {
    "heads": "the abstract gives no number; four fit the width",
    "alpha": "dev rSum was highest at 40 degrees",
}


def experiment(**changes: Any) -> Experiment:
    """The experiment of the folder that `write_results` makes."""
    raw = {
        "experiment": "synthetic",
        "title": "Synthetic experiment",
        "datasets": ["toy"],
        "methods": [{"name": name, "title": title} for name, title, *_ in METHODS],
        "controls": list(CONTROLS),
        "seeds": list(SEEDS),
        "reference": "vsepp",
    }
    return Experiment.parse(json.dumps(raw | changes))


def write_results(root: Path, *, dataset: str = "toy", folds: int = 1, seeds: tuple[int, ...] = SEEDS) -> Path:
    """Every run of `experiment()` under `root` except vsepp/seed2 (failed) and no_gat/seed1 (never ran)."""
    for row, (name, title, share, escape) in enumerate(METHODS):
        for seed in seeds:
            folder = root / dataset / name / f"seed{seed}"
            if (name, seed) == ("no_gat", 1):
                continue
            if (name, seed) == ("vsepp", 2):
                folder.mkdir(parents=True)
                failure = {
                    "reason": "the loss is not finite at step 212",
                    "epoch": 6,
                    "when": "2026-03-01T11:00:00Z",
                }
                (folder / "failure.json").write_text(json.dumps(failure))
                continue
            quality = share + 0.01 * (seed - 1)
            write_run(folder, method=name, title=title, seed=seed, quality=quality, folds=folds, row=row)
            write_log(folder, quality=quality, escape=escape, triangle=name in ("lgsf", "no_gat"))
    for name in CONTROLS:
        for seed in seeds:
            folder = root / dataset / name / f"seed{seed}"
            write_run(
                folder,
                method=name,
                title=name,
                seed=seed,
                quality=float(name == "oracle"),
                folds=folds,
                row=9,
            )
    return root


def write_run(folder: Path, *, method: str, title: str, seed: int, quality: float, folds: int, row: int) -> None:
    """run.json, test/ranks.npz and test/top.npz of one run; no weights."""
    rng = np.random.default_rng([row, seed])
    (folder / "test").mkdir(parents=True)
    n_captions = IMAGES * PER_IMAGE
    image_fold = np.repeat(np.arange(folds, dtype=np.int32), IMAGES // folds)
    i2t, t2i = (
        _ranks(rng, IMAGES, n_captions - PER_IMAGE, quality),
        _ranks(rng, n_captions, IMAGES - 1, 0.9 * quality),
    )
    if quality == 1:
        t2i[:] = 0
    np.savez_compressed(
        folder / "test" / "ranks.npz",
        image_id=np.array([f"image{i}" for i in range(IMAGES)]),
        caption_id=np.array([f"caption{i}" for i in range(n_captions)]),
        caption_image=np.repeat(np.arange(IMAGES, dtype=np.int32), PER_IMAGE),
        image_fold=image_fold,
        i2t=i2t,
        t2i=t2i,
        i2t_fold=i2t // folds,
        t2i_fold=t2i // folds,
        protocol=json.dumps({"folds": folds}),
    )
    pairs = 40
    kind = np.repeat(np.array(["attribute_twin", "relation_twin"]), pairs)
    score = rng.normal(size=2 * pairs).astype(np.float32)
    score[0::2] += 2 * quality
    np.savez_compressed(
        folder / "test" / "top.npz",
        judged_score=score,
        judged_image=np.zeros(2 * pairs, np.int32),
        judged_caption=np.arange(2 * pairs, dtype=np.int32),
        judged_grade=np.tile(np.array([1, 0], np.int32), pairs),
        judged_kind=kind,
        i2t=_tops(i2t, n_captions, lambda image: [PER_IMAGE * image + k for k in range(PER_IMAGE)]),
        t2i=_tops(t2i, IMAGES, lambda caption: [caption // PER_IMAGE]),
    )
    (folder / "run.json").write_text(json.dumps(_facts(folder, method, title, seed, quality, folds)))


def mark_tuned(results: Path, method: str, looks: int) -> None:
    """Make the runs of a method those of a tuned one."""
    tuned = {"trials": 8, "failed": 1, "dev_looks": looks, "paths": ["parameters.heads", "training.epochs"]}
    tuned |= {"dev_rsum": 412.5, "dev_rsum_configured": None, "trials_sha256": "5ea1" * 16}
    for path in (results / "toy" / method).glob("seed*/run.json"):
        record = json.loads(path.read_text())
        record["config"]["tuned"] = tuned
        path.write_text(json.dumps(record))


def write_log(folder: Path, *, quality: float, escape: int, triangle: bool) -> None:
    """log.jsonl with a plateau from epoch 2 until `escape`."""
    lines = []
    for epoch in range(1, EPOCHS + 1):
        plateau = 1 < epoch <= escape
        done = 0.15 if plateau else (1 - np.exp(-(epoch - escape + 2) / 3) if epoch > escape else 0.1)
        rsum = float(1000 * quality * done)
        terms = {"hinge": 51.2 if plateau else 60 / epoch}
        if triangle:
            terms |= {"angular": 8 / epoch, "angular_active": max(0.0, 0.9 - 0.07 * epoch)}
        lines.append(
            json.dumps(
                {
                    **{"epoch": epoch, "step": epoch * STEPS, "seconds": 4.5, "learning_rate": 5e-4},
                    **{"loss": sum(terms.values()), "grad_norm": 2.5, "terms": terms, "plateau": plateau},
                    **{
                        "dev": {
                            **dict.fromkeys(HEADLINE, rsum / 10),
                            "rsum": rsum,
                            "i2t_r1": rsum / 9,
                            "t2i_r1": rsum / 11,
                        },
                        "best": epoch == EPOCHS,
                    },
                }
            )
        )
    (folder / "log.jsonl").write_text("\n".join(lines) + "\n")


def _ranks(rng: np.random.Generator, queries: int, worst: int, quality: float) -> np.ndarray:
    """Geometric ranks: `quality` is the chance of rank 0; 0 stands for chance level."""
    if quality == 0:
        return rng.integers(0, worst + 1, queries).astype(np.int32)
    return np.minimum(rng.geometric(quality, queries) - 1, worst).astype(np.int32)


def _tops(ranks: np.ndarray, candidates: int, own: Callable[[int], list[int]]) -> np.ndarray:
    """Ten best candidates of each query: the first right one stands at its rank, wrong ones before and after it."""
    rows = []
    for query, rank in enumerate(ranks):
        right = own(query)
        others = ((query + 7 * k) % candidates for k in range(candidates))
        wrong = list(islice((other for other in others if other not in right), 10))
        rows.append([*wrong[:rank], right[0], *wrong[rank:]][:10])
    return np.array(rows, np.int32)


def _facts(folder: Path, method: str, title: str, seed: int, quality: float, folds: int) -> dict[str, Any]:
    control = method in CONTROLS
    parameters = {"embedding": 128, "gat": method == "lgsf", "heads": 4, "alpha": 40.0}
    config = {
        **{
            "schema_version": 1,
            "dataset": folder.parts[-3],
            "method": method,
            "title": title,
            "device": "cpu",
        },
        **{"model": "baselines.vsepp:VSEPP" if method == "vsepp" else "lgsf.models.lgsf:LGSF", "threads": 1},
        **{"parameters": parameters, "choices": CHOICES, "training": {"batch_size": 128, "epochs": EPOCHS}},
    }
    trained = {
        **{
            "parameters": 600_000 + 150_000 * len(method),
            "parameters_training_only": 20_000 if method == "lgsf" else 0,
        },
        **{
            "steps": EPOCHS * STEPS,
            "steps_per_epoch": STEPS,
            "hardest_from_step": STEPS,
            "best_epoch": EPOCHS,
        },
        **{"dev_looks": EPOCHS, "dev": {"rsum": 900 * quality}},
    }
    return {
        **{"schema_version": 1, "kind": "control" if control else "trained", "dataset": folder.parts[-3]},
        **{"method": method, "title": title, "seed": seed, "config": {} if control else config},
        "text_encoder": None if control else "GRU" if method == "vsepp" else "BiGRU",
        **{"config_sha256": None if control else "c0ffee" * 10 + "abcd", "dataset_sha256": "da7a" * 16},
        "data": {
            "splits": {
                "train": {"images": 4000, "captions": 20000, "mean_regions": 4.25, "captions_per_image": {"5": 4000}},
                "dev": {"images": 50, "captions": 250, "mean_regions": 4.5},
                "test": {"images": IMAGES, "captions": 300, "mean_regions": 4.0, "dtype": "float32"},
            },
            "source": {"kind": "scenes", "seed": 2026, "features": FEATURES},
            "protocol": {"folds": folds},
        },
        "git": {"commit": "0123456789abcdef0123456789abcdef01234567", "dirty": False},
        **{"packages": {"torch": "2.8.0", "numpy": "2.1.0"}, "python": "3.12.1", "threads": 1},
        **{"device": {"type": "cpu", "name": "a processor"}, "resumed": int(seed == 2)},
        **{"started": f"2026-03-01T10:0{seed}:00+00:00", "ended": f"2026-03-01T10:1{seed}:00+00:00"},
        **{"seconds": 60.0 + 45 * len(method) + seed, "peak_memory_mb": 500 + 20 * len(method) + seed},
        **{"peak_gpu_memory_mb": None, "ending": "finished", **({} if control else trained)},
    }


def write_tables_and_verdicts(experiment: Experiment, *, results: Path, out: Path) -> None:
    """What the workflow does between runs and report."""
    write_tables(experiment, results=results, out=out)
    compare(
        experiment=experiment, tables=out, results=None, dataset=None, method=None, published=None, reference=None,
        config=Path(), table=PUBLISHED, out=out,
    )  # fmt: skip
