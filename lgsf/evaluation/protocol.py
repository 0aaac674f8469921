"""Rank one split by the dataset's protocol and write what follows from its scores."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lgsf.data.layout import Dataset, Split
from lgsf.data.positives import positives_of
from lgsf.metrics.ranking import Ranking, Scores, contiguous_folds, rank
from lgsf.metrics.recall import metrics
from lgsf.metrics.relevance import Positives, RelevanceRanks
from lgsf.runs.beside.relevance import write_relevance
from lgsf.runs.ranks import write_ranks

logger = logging.getLogger(__name__)
MANY_TIES = 1.0  # percent of the queries from which on a tie is worth a warning


@dataclass(frozen=True)
class Ranked:
    """A split that was ranked by the dataset's protocol; folds: how many, fold (n_images,) int32 of each image."""

    data: Dataset
    split: Split
    ranking: Ranking
    relevance: RelevanceRanks
    positives: Mapping[str, Positives]
    absent: Mapping[str, str]
    fold: npt.NDArray[np.int32]
    folds: int


def rank_and_write(
    folder: Path,
    data: Dataset,
    split: Split,
    scores: Scores,
    *,
    made_from: Mapping[str, Any],
    stamp: Mapping[str, Any] | None = None,
) -> Ranking:
    """`rank_split`, then `write_split` into `folder`."""
    ranked = rank_split(data, split, scores)
    write_split(folder, ranked, made_from=made_from, stamp=stamp)
    return ranked.ranking


def rank_split(data: Dataset, split: Split, scores: Scores) -> Ranked:
    """Rank one split by the dataset's protocol; dev never has folds."""
    folds = int(data.manifest["protocol"]["folds"]) if split.name == "test" else 1
    fold = contiguous_folds(len(split.images), folds)
    judged = None
    if split.judged is not None:
        judged = (split.judged["image"].to_numpy(np.int64), split.judged["caption"].to_numpy(np.int64))
    positives, absent = positives_of(split, data.root / split.name)
    relevance = RelevanceRanks(positives, scores.shape)
    watchers = [relevance] if positives else []  # without them one walk may do
    ranking = rank(scores, split.caption_image, fold, judged=judged, watchers=watchers)
    return Ranked(data, split, ranking, relevance, positives, absent, fold, folds)


def write_split(
    folder: Path, ranked: Ranked, *, made_from: Mapping[str, Any], stamp: Mapping[str, Any] | None = None
) -> None:
    """Write ranks.npz, top.npz and relevance.npz.

    made_from  what the scores come from, by checksums: `weights` of a trained run (lgsf.runs.origin)
    stamp      what else the protocol must say: ranks of unequal protocols never share a table

    Raises LgsfError, and writes nothing, if an input was changed since it was opened.
    """
    ranked.data.inputs.check()
    name, ranking = ranked.split.name, ranked.ranking
    origin = {"split": name, "dataset": ranked.data.sha256, **made_from}
    protocol = {"split": name, "folds": ranked.folds, "ties": "against", **(stamp or {})}
    write_relevance(folder, ranked.relevance, ranked.positives, ranked.absent, origin)
    write_ranks(folder, ranked.split, ranking, ranked.fold, protocol, origin)
    values = metrics(ranking.i2t_fold, ranking.t2i_fold)
    _tell_ties(folder, ranking)
    logger.info("%s: rSum %.1f, i2t R@1 %.1f, t2i R@1 %.1f", folder, values["rsum"], values["i2t_r1"], values["t2i_r1"])


def _tell_ties(folder: Path, ranking: Ranking) -> None:
    """How many queries have a wrong candidate with the very score of the right one; it counts as ranked before it."""
    shares = 100 * ranking.i2t_ties / len(ranking.i2t), 100 * ranking.t2i_ties / len(ranking.t2i)
    level = logging.WARNING if max(shares) >= MANY_TIES else logging.INFO
    advice = (
        "; ties count against the model: save scores before they saturate or are rounded"
        if level > logging.INFO
        else ""
    )
    logger.log(level, "%s: a wrong candidate ties with the right one for %.1f %% of the images and %.1f %% of the captions%s",
               folder, *shares, advice)  # fmt: skip
