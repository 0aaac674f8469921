"""Rank dev and test with a trained run: the exact protocol of the field, from weights to ranks.npz."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lgsf.data.layout import Dataset, Split, open_dataset, sha256
from lgsf.data.text import Vocabulary
from lgsf.errors import LgsfError
from lgsf.files import read_json
from lgsf.gallery.explain import write_gallery
from lgsf.methods import build_method, make_repeatable
from lgsf.models.base import Encoded, Method
from lgsf.positives import positives_of
from lgsf.pretrained import run_pretrained
from lgsf.ranking import Ranking, Scores, contiguous_folds, metrics, rank
from lgsf.relevance import RelevanceRanks, write_relevance
from lgsf.runs import load_weights, run_vocabulary, settings_of, write_ranks
from lgsf.score import TiledScores, encode_split

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class OpenRun:
    """A trained run on its device, ready to score splits of the data that it was trained on."""

    record: Mapping[str, Any]
    data: Dataset
    method: Method
    vocabulary: Vocabulary
    device: torch.device

    def encode(self, split: Split) -> tuple[Encoded, Encoded]:
        """All images and all captions of a split."""
        return encode_split(self.method, split, self.vocabulary, device=self.device)

    def scores(self, split: Split, memory_mb: int) -> TiledScores:
        """The score matrix of a split, in bounded memory."""
        return TiledScores(self.method, *self.encode(split), memory_mb)


def evaluate(*, run: Path, dataset: Path, memory_mb: int) -> None:
    """Write dev and test ranks of a trained run, and for the gallery what it attends to on test.

    Raises LgsfError when the run was trained on other data or its weights do not fit.
    """
    opened = open_run(run, dataset)
    for name in ("dev", "test"):
        split = opened.data.split(name)
        rank_and_write(run / name, opened.data, split, opened.scores(split, memory_mb))
        if name == "test":
            write_gallery(run / name, opened.method, opened.data.name, split, opened.vocabulary, device=opened.device)


def open_run(run: Path, dataset: Path, *, training_only: bool = False) -> OpenRun:
    """Open a trained run for scoring; `training_only` also reads the weights that evaluation never uses.

    Raises LgsfError when the run has no weights of its own, was trained on other data, or its weights do not fit.
    """
    record = read_json(run / "run.json", hint="train this run first")
    settings = settings_of(run, record)
    data = open_dataset(dataset)
    if record["dataset_sha256"] != sha256(data.root / "dataset.json"):
        raise LgsfError(f"{run} was trained on another version of {dataset}: train it again or name its own dataset.")
    device = torch.device(settings["device"])
    make_repeatable(device, settings["threads"])
    vocabulary = run_vocabulary(run, data)
    method = build_method(
        settings, data, source=str(run / "run.json"), vocabulary_size=len(vocabulary),
        pretrained=run_pretrained(run, settings["parameters"]),
    ).to(device)  # fmt: skip
    load_weights(method, run, training_only=training_only)
    method.eval()
    return OpenRun(record, data, method, vocabulary, device)


def rank_and_write(
    folder: Path, data: Dataset, split: Split, scores: Scores, *, stamp: Mapping[str, Any] | None = None
) -> Ranking:
    """Rank one split by the dataset's protocol and write ranks.npz, top.npz and relevance.npz; dev never has folds.

    stamp  what else the protocol must say: ranks of unequal protocols never share a table
    """
    folds = int(data.manifest["protocol"]["folds"]) if split.name == "test" else 1
    fold = contiguous_folds(len(split.images), folds)
    judged = None
    if split.judged is not None:
        judged = (split.judged["image"].to_numpy(np.int64), split.judged["caption"].to_numpy(np.int64))
    positives, absent = positives_of(split, data.root / split.name)
    relevance = RelevanceRanks(positives, scores.shape)
    ranking = rank(scores, split.caption_image, fold, judged=judged, watchers=[relevance])
    write_relevance(folder, relevance, positives, absent)
    write_ranks(folder, split, ranking, fold, {"split": split.name, "folds": folds, "ties": "against", **(stamp or {})})
    values = metrics(ranking.i2t_fold, ranking.t2i_fold)
    logger.info("%s: rSum %.1f, i2t R@1 %.1f, t2i R@1 %.1f", folder, values["rsum"], values["i2t_r1"], values["t2i_r1"])
    return ranking
