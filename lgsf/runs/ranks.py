"""A split's ranks.npz and top.npz; written here, read here, never the weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lgsf.data.layout import Split
from lgsf.metrics.ranking import Ranking
from lgsf.metrics.recall import metrics
from lgsf.runs.names import EVALUATE_AGAIN, NO_COMPARISON, SPLIT
from lgsf.runs.origin import own_arrays, write_evaluated
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_arrays
from lgsf.system.hashes import sha256

RANK_ARRAYS = {
    "image_id",
    "caption_id",
    "caption_image",
    "image_fold",
    "i2t",
    "t2i",
    "i2t_fold",
    "t2i_fold",
    "protocol",
}
JUDGED_ARRAYS = ("judged_score", "judged_image", "judged_caption", "judged_grade", "judged_kind")
TWIN = "_twin"
_NONE = np.zeros(0)


def write_ranks(
    folder: Path,
    split: Split,
    ranking: Ranking,
    fold: npt.NDArray[np.int32],
    protocol: Mapping[str, Any],
    made_from: Mapping[str, Any],
) -> None:
    """Write ranks.npz and top.npz of one split; made_from as lgsf.runs.origin has it."""
    write_evaluated(
        folder / "ranks.npz",
        {
            "image_id": split.images["image_id"].to_numpy().astype(np.str_),
            "caption_id": split.captions["caption_id"].to_numpy().astype(np.str_),
            "caption_image": split.caption_image.astype(np.int32),
            "image_fold": fold,
            "i2t": ranking.i2t,
            "t2i": ranking.t2i,
            "i2t_fold": ranking.i2t_fold,
            "t2i_fold": ranking.t2i_fold,
            "ties": np.array([ranking.i2t_ties, ranking.t2i_ties]),
            "protocol": np.array(json.dumps(dict(protocol), sort_keys=True)),
        },
        made_from,
    )
    top = {
        "i2t": ranking.i2t_top,
        "i2t_score": ranking.i2t_top_score,
        "t2i": ranking.t2i_top,
        "t2i_score": ranking.t2i_top_score,
    }
    if split.judged is not None:
        top |= {
            "judged_score": ranking.judged_score,
            "judged_image": split.judged["image"].to_numpy(np.int32),
            "judged_caption": split.judged["caption"].to_numpy(np.int32),
            "judged_grade": split.judged["grade"].to_numpy(np.float32),
            "judged_kind": split.judged["kind"].to_numpy().astype(np.str_),
        }
    write_evaluated(folder / "top.npz", top, made_from)


@dataclass(frozen=True)
class Ranks:
    """`<split>/ranks.npz`, checked.

    i2t, t2i  (n_images,), (n_captions,) int32 0-based ranks over the whole gallery; *_fold inside the fold
    caption_image, image_fold  (n_captions,), (n_images,) int32: the image of a caption, the fold of an image
    ties      queries of either direction with a wrong candidate at the score of the right one; None in older files
    protocol  canonical JSON; queries: sha256 of ids and folds, equal where runs answered the same questions
    """

    i2t: npt.NDArray[np.int32]
    t2i: npt.NDArray[np.int32]
    i2t_fold: npt.NDArray[np.int32]
    t2i_fold: npt.NDArray[np.int32]
    caption_image: npt.NDArray[np.int32]
    image_fold: npt.NDArray[np.int32]
    folds: int
    protocol: str
    queries: str
    sha256: str
    ties: tuple[int, int] | None = None

    def metrics(self) -> dict[str, dict[str, float]]:
        """Metrics per protocol: "full" over the whole gallery, and "folds" where there is more than one."""
        out = {"full": metrics(self.i2t, self.t2i)}
        if self.folds > 1:
            # Folds are of equal size, so pooling their ranks equals the mean of their recalls.
            out = {"folds": metrics(self.i2t_fold, self.t2i_fold), **out}
        return out


def read_ranks(folder: Path, split: str = SPLIT) -> Ranks:
    """The ranks of one split; LgsfError where they are not of this run, are damaged or do not fit each other."""
    path = folder / split / "ranks.npz"
    arrays = read_arrays(path, hint=EVALUATE_AGAIN)
    if _is_transductive(arrays):
        raise LgsfError(f"{path} holds ranks {NO_COMPARISON}")
    arrays = own_arrays(path.parent, path.name, arrays)
    if absent := sorted(RANK_ARRAYS - set(arrays)):
        raise LgsfError(f"{path} lacks the array {absent[0]!r}: {EVALUATE_AGAIN}.")
    n_images, n_captions = len(arrays["image_id"]), len(arrays["caption_id"])
    lengths = {"image_fold": n_images, "i2t": n_images, "i2t_fold": n_images}
    lengths |= {"caption_image": n_captions, "t2i": n_captions, "t2i_fold": n_captions}
    for name, length in lengths.items():
        if arrays[name].shape != (length,):
            raise LgsfError(f"{path}: {name} has shape {arrays[name].shape}, not ({length},): {EVALUATE_AGAIN}.")
        if arrays[name].dtype.kind not in "iu":
            raise LgsfError(f"{path}: {name} holds {arrays[name].dtype} and no whole numbers: {EVALUATE_AGAIN}.")
    try:
        protocol = json.dumps(json.loads(str(arrays["protocol"])), sort_keys=True)
    except ValueError as error:
        raise LgsfError(f"{path}: protocol is not JSON ({error}): {EVALUATE_AGAIN}.") from None
    return Ranks(
        i2t=arrays["i2t"],
        t2i=arrays["t2i"],
        i2t_fold=arrays["i2t_fold"],
        t2i_fold=arrays["t2i_fold"],
        caption_image=arrays["caption_image"],
        image_fold=arrays["image_fold"],
        folds=len(np.unique(arrays["image_fold"])),
        ties=(int(arrays["ties"][0]), int(arrays["ties"][1])) if arrays.get("ties", _NONE).shape == (2,) else None,
        protocol=protocol,
        queries=digest_of_queries(arrays),
        sha256=sha256(path),
    )


def _is_transductive(arrays: Mapping[str, npt.NDArray[Any]]) -> bool:
    """Whether these are ranks of the diagnostic, wherever they lie: their sentence is another than that of strangers."""
    try:
        return "transductive" in dict(json.loads(str(arrays.get("protocol"))))
    except (TypeError, ValueError):
        return False


def digest_of_queries(arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    """sha256 of the ids, the captions' images and the folds that these RANK_ARRAYS name."""
    digest = hashlib.sha256()
    for name in ("image_id", "caption_id"):
        digest.update("\n".join(map(str, arrays[name])).encode() + b"\0")
    for name in ("caption_image", "image_fold"):
        digest.update(np.ascontiguousarray(arrays[name], np.int64).tobytes())
    return digest.hexdigest()
