"""Rank one split by the dataset's protocol and write what follows from its scores."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lgsf.data.layout import Dataset, Split
from lgsf.data.positives import positives_of
from lgsf.metrics.ranking import Ranking, Scores, contiguous_folds, rank
from lgsf.metrics.recall import metrics
from lgsf.metrics.relevance import RelevanceRanks
from lgsf.runs.ranks import write_ranks
from lgsf.runs.relevance import write_relevance

logger = logging.getLogger(__name__)


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
