"""Ranks and metrics of any score matrix, by the rules of every table: exact, with ties against the model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lgsf.api.data import OpenSplit
from lgsf.importing.matrices import exact
from lgsf.metrics.names import metric_label
from lgsf.metrics.ranking import Ints, MatrixScores, Ranking, contiguous_folds
from lgsf.metrics.ranking import rank as rank_scores
from lgsf.metrics.recall import metrics
from lgsf.runs.ranks import digest_of_queries
from lgsf.system.errors import LgsfError

SHOWN = ("i2t_r1", "t2i_r1", "rsum")


@dataclass(frozen=True, repr=False)
class Ranked:
    """Ranks of every query, 0 for a hit at the first place.

    ranking        ranks, best candidates and ties (lgsf.metrics.ranking.Ranking)
    caption_image  (n_captions,) int64, row of each caption's image;  image_fold  (n_images,) int32
    queries        sha256 of the questions: two that answered the same ones can be compared
    """

    ranking: Ranking
    caption_image: Ints
    image_fold: Ints
    queries: str

    @property
    def i2t(self) -> npt.NDArray[np.int32]:
        """(n_images,) int32: wrong captions at or above the best own one, in the whole gallery."""
        return self.ranking.i2t

    @property
    def t2i(self) -> npt.NDArray[np.int32]:
        """(n_captions,) int32: wrong images at or above the own one, in the whole gallery."""
        return self.ranking.t2i

    @property
    def i2t_fold(self) -> npt.NDArray[np.int32]:
        """`i2t` among the candidates of the query's fold alone."""
        return self.ranking.i2t_fold

    @property
    def t2i_fold(self) -> npt.NDArray[np.int32]:
        """`t2i` among the candidates of the query's fold alone."""
        return self.ranking.t2i_fold

    @property
    def folds(self) -> int:
        return len(np.unique(self.image_fold))

    def metrics(self) -> dict[str, dict[str, float]]:
        """Metrics per protocol: "full" over the whole gallery and, where there are folds, first "folds"."""
        full = {"full": metrics(self.i2t, self.t2i)}
        return {"folds": metrics(self.i2t_fold, self.t2i_fold), **full} if self.folds > 1 else full

    def __repr__(self) -> str:
        values = next(iter(self.metrics().values()))
        said = ", ".join(f"{metric_label(name)} {values[name]:.1f}" for name in SHOWN)
        folds = f" in {self.folds} folds" if self.folds > 1 else ""
        return f"<ranks of {len(self.i2t)} images and {len(self.t2i)} captions{folds}: {said}>"


def rank(scores: Any, captions: OpenSplit | npt.ArrayLike, *, folds: int = 1) -> Ranked:
    """Rank every caption for every image, and every image for every caption.

    scores    (n_images, n_captions) of real numbers, an array or a tensor, larger for better pairs
    captions  the split that was scored, whose rows and folds are taken, or (n_captions,) the row of each one's image
    folds     equal parts in file order, each its own gallery (5 for COCO 1K); a split has its own

    >>> ranked = lgsf.rank(run.scores(test), test)
    >>> ranked.metrics()["full"]["rsum"]

    Raises LgsfError where shapes do not fit, or a score is not finite.
    """
    matrix = _matrix(scores)
    n_images = len(matrix)
    arrays: dict[str, npt.NDArray[Any]]
    if isinstance(captions, OpenSplit):
        caption_image, fold = captions.caption_image, captions.image_fold
        arrays = {
            "image_id": captions.images["image_id"].to_numpy().astype(np.str_),
            "caption_id": captions.captions["caption_id"].to_numpy().astype(np.str_),
        }
        wanted = (len(captions.images), len(captions.captions))
        if folds != 1:
            raise LgsfError("rank takes the folds of the split: leave folds out, or give the captions' rows alone.")
    else:
        caption_image = _rows(captions, n_images)
        fold = contiguous_folds(n_images, folds)
        arrays = {"image_id": np.arange(n_images), "caption_id": np.arange(len(caption_image))}
        wanted = (n_images, len(caption_image))
    if matrix.shape != wanted:
        turned = ": they are transposed, one row per caption" if matrix.shape[::-1] == wanted else ""
        raise LgsfError(f"the scores have shape {matrix.shape}, not {wanted}{turned}; one row per image is needed.")
    ranking = rank_scores(MatrixScores(matrix), caption_image, fold)
    arrays |= {"caption_image": caption_image, "image_fold": fold}
    return Ranked(ranking, caption_image, fold, digest_of_queries(arrays))


def _matrix(scores: Any) -> npt.NDArray[Any]:
    """Scores as float32 where that keeps their order, otherwise float64."""
    if hasattr(scores, "detach"):  # a tensor; bfloat16 has no counterpart in numpy
        scores = scores.detach().cpu()
        scores = scores.float() if str(scores.dtype) == "torch.bfloat16" else scores
    matrix = np.asarray(scores)
    if matrix.ndim != 2 or matrix.dtype.kind not in "fiu" or not matrix.size:
        raise LgsfError(
            f"rank takes a table of real numbers (n_images, n_captions), not {matrix.dtype} of shape {matrix.shape}."
        )
    return exact(matrix, Path("the scores"))


def _rows(captions: npt.ArrayLike, n_images: int) -> npt.NDArray[np.int64]:
    """The row of each caption's image; LgsfError unless every image has a caption."""
    rows = np.asarray(captions)
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise LgsfError(
            "rank needs the split, or one whole number for each caption: the row of its image, as in split.caption_image."
        )
    absent = np.setdiff1d(np.arange(n_images), rows)
    if not len(rows) or rows.min() < 0 or rows.max() >= n_images:
        raise LgsfError(f"the captions name images from {rows.min(initial=0)} to {rows.max(initial=0)}, and the scores have {n_images} rows.")  # fmt: skip
    if len(absent):
        raise LgsfError(f"the image in row {absent[0]} of the scores has no caption: leave it out.")
    return rows.astype(np.int64)
