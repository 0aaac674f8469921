"""Rank dev and test with a trained run: the exact protocol of the field, from weights to ranks.npz."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch

from lgsf.data.layout import Dataset, Split, open_dataset, sha256
from lgsf.errors import LgsfError
from lgsf.files import read_json
from lgsf.methods import build_method, check_settings, make_repeatable
from lgsf.ranking import Ranking, Scores, contiguous_folds, metrics, rank
from lgsf.runs import load_weights, run_vocabulary, write_ranks
from lgsf.score import TiledScores, encode_split

logger = logging.getLogger(__name__)


def evaluate(*, run: Path, dataset: Path, memory_mb: int) -> None:
    """Write dev and test ranks of a trained run.

    Raises LgsfError when the run was trained on other data or its weights do not fit.
    """
    record = read_json(run / "run.json", hint="train this run first")
    data = open_dataset(dataset)
    if record["dataset_sha256"] != sha256(data.root / "dataset.json"):
        raise LgsfError(f"{run} was trained on another version of {dataset}: train it again or name its own dataset.")
    settings = check_settings(record["config"], source=str(run / "run.json"))
    device = torch.device(settings["device"])
    make_repeatable(device, settings["threads"])
    vocabulary = run_vocabulary(run, data)
    method = build_method(settings, data, source=str(run / "run.json"), vocabulary_size=len(vocabulary)).to(device)
    load_weights(method, run)
    method.eval()
    for name in ("dev", "test"):
        split = data.split(name)
        images, texts = encode_split(method, split, vocabulary, device=device)
        rank_and_write(run / name, data, split, TiledScores(method, images, texts, memory_mb))


def rank_and_write(folder: Path, data: Dataset, split: Split, scores: Scores) -> Ranking:
    """Rank one split by the dataset's protocol and write ranks.npz and top.npz; dev never has folds."""
    folds = int(data.manifest["protocol"]["folds"]) if split.name == "test" else 1
    fold = contiguous_folds(len(split.images), folds)
    judged = None
    if split.judged is not None:
        judged = (split.judged["image"].to_numpy(np.int64), split.judged["caption"].to_numpy(np.int64))
    ranking = rank(scores, split.caption_image, fold, judged=judged)
    write_ranks(folder, split, ranking, fold, {"split": split.name, "folds": folds, "ties": "against"})
    values = metrics(ranking.i2t_fold, ranking.t2i_fold)
    logger.info("%s: rSum %.1f, i2t R@1 %.1f, t2i R@1 %.1f", folder, values["rsum"], values["i2t_r1"], values["t2i_r1"])
    return ranking
