"""One split ranked by scores or vectors that lie in files: what every import of numbers does."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lgsf.data.layout import Dataset, Split
from lgsf.evaluation.protocol import Ranked, rank_split
from lgsf.importing.matrices import FileScores, Rows, exact, load, unit_rows
from lgsf.metrics.ranking import Ranking
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_json
from lgsf.system.logs import PROGRESS

logger = logging.getLogger(__name__)
Similarity = Literal["cosine", "dot"]


@dataclass(frozen=True)
class Given:
    """The files of one split: `scores`, or `images` and `captions`; `ids` names their rows and columns."""

    scores: Path | None = None
    images: Path | None = None
    captions: Path | None = None
    ids: Path | None = None
    similarity: Similarity = "cosine"

    def named(self) -> dict[str, Path]:
        """What -> file, of those that were given."""
        files = {"scores": self.scores, "images": self.images, "captions": self.captions, "ids": self.ids}
        return {what: path for what, path in files.items() if path is not None}


def rank_files(data: Dataset, split: str, given: Given) -> tuple[Ranked, dict[str, dict[str, str]]]:
    """The ranks of a split, and what -> name and sha256 of each file that they come from.

    Raises LgsfError where files do not fit the split or hold something that is not finite.
    """
    named = given.named()
    forms = set(named) - {"ids"}
    if forms not in ({"scores"}, {"images", "captions"}):
        raise LgsfError("give either --scores, or --images and --captions: one form of one model.")
    imported = {what: {"file": path.name, "sha256": data.inputs.add(path)} for what, path in named.items()}
    opened = data.split(split)
    order = _order(given.ids, opened)
    if given.scores is not None:
        source, first = _matrix(given.scores, opened, order), given.scores
    else:
        assert given.images is not None and given.captions is not None
        source = _vectors(given.images, given.captions, opened, order, given.similarity)
        first = given.images
    ranked = rank_split(data, opened, source)
    _warn_of_distances(ranked.ranking, first)
    files = [path for what, path in named.items() if what != "ids"]
    _tell(source, files, given.ids, opened)
    if len({file["sha256"] for what, file in imported.items() if what != "ids"}) < len(files):
        logger.warning("%s and %s are the same file by their checksum; check the names.", *files)
    return ranked, imported


def _order(ids: Path | None, split: Split) -> tuple[Rows, Rows | None]:
    """(row of each image, column of each caption or None): where the dataset's order is found in the files."""
    if ids is None:
        return np.arange(len(split.images)), None
    named = read_json(ids, hint='write {"images": [...], "captions": [...]}')
    if not isinstance(named, dict) or set(named) != {"images", "captions"}:
        raise LgsfError(f'{ids} must hold {{"images": [ids of rows], "captions": [ids of columns]}} and nothing else.')
    return (
        _positions(ids, "images", named["images"], split.images["image_id"].tolist()),
        _positions(ids, "captions", named["captions"], split.captions["caption_id"].tolist()),
    )


def _positions(ids: Path, what: str, given: Any, wanted: Sequence[Any]) -> Rows:
    if not isinstance(given, list):
        raise LgsfError(f"{ids}: {what} must be a list of ids, not {type(given).__name__}.")
    place: dict[str, int] = {}
    for position, entry in enumerate(map(str, given)):
        if entry in place:
            raise LgsfError(f"{ids}: {what} names {entry!r} twice; each row or column needs an id of its own.")
        place[entry] = position
    names = [str(entry) for entry in wanted]
    if missing := [entry for entry in names if entry not in place]:
        raise LgsfError(
            f"{ids}: {what} lacks {len(missing)} of the split's {len(names)} ids, the first is {missing[0]!r}."
        )
    if len(place) > len(names):
        extra = next(entry for entry in place if entry not in set(names))
        raise LgsfError(f"{ids}: {what} names {extra!r}, which the split does not have; leave such rows out.")
    return np.array([place[entry] for entry in names], np.int64)


def _matrix(path: Path, split: Split, order: tuple[Rows, Rows | None]) -> FileScores:
    array = load(path)
    n_images, n_captions = len(split.images), len(split.captions)
    if array.shape != (n_images, n_captions):
        raise LgsfError(
            f"{path} has shape {array.shape}, not ({n_images}, {n_captions}){_shape_hint(array.shape, split)}"
        )
    return FileScores(path, array, None, n_captions, *order, (array,))


def _shape_hint(shape: tuple[int, ...], split: Split) -> str:
    """The end of the sentence: the mistake that leads to such a shape."""
    n_images, n_captions = len(split.images), len(split.captions)
    if shape == (n_captions, n_images):
        return ": it is transposed, one row per caption; save scores.T."
    if shape == (n_captions, n_captions):
        return ": every image stands there once per caption; keep one row of each image."
    return f": one row per image and one column per caption of the {split.name} split."


def _vectors(
    images: Path, captions: Path, split: Split, order: tuple[Rows, Rows | None], similarity: Similarity
) -> FileScores:
    arrays = []
    for path, count, what in ((images, len(split.images), "image"), (captions, len(split.captions), "caption")):
        array = load(path)
        if len(array) != count:
            raise LgsfError(
                f"{path} has {len(array)} rows, not {count}: one vector per {what} of the {split.name} split."
            )
        arrays.append(array)
    if arrays[0].shape[1] != arrays[1].shape[1]:
        widths = f"{arrays[0].shape[1]} and {arrays[1].shape[1]}"
        raise LgsfError(f"{images} and {captions} hold vectors of {widths} numbers: both must lie in one space.")
    column_of = order[1] if order[1] is not None else np.arange(len(arrays[1]))
    vectors = exact(arrays[1][column_of], captions)
    if similarity == "cosine":
        vectors = unit_rows(vectors, captions, column_of)
    elif not np.isfinite(vectors).all():
        row = column_of[np.argwhere(~np.isfinite(vectors))[0][0]]
        raise LgsfError(f"{captions}, row {row}, is not finite: such a model cannot be ranked.")
    return FileScores(images, arrays[0], vectors, len(vectors), order[0], None, tuple(arrays), similarity == "cosine")


def _tell(source: FileScores, files: Sequence[Path], ids: Path | None, split: Split) -> None:
    """Print what the files hold, so that a wrong one is seen at once; equal rows are warned of."""
    order = "the dataset's order" if ids is None else f"the order of {ids.name}, all ids shared with the split"
    logger.log(
        PROGRESS, "%s: %d images x %d captions of the %s split, %s, ranked as %s", files[0], *source.shape, split.name, order,
        source.kind,
    )  # fmt: skip
    for path, array in zip(files, source.arrays, strict=True):
        repeated = len(array) - len({hashlib.sha256(row.tobytes()).digest() for row in array})
        if repeated:
            logger.warning(
                "%s: %d of its %d rows (%.1f %%) repeat another row bit for bit, and equal rows tie; check how it was made.",
                path, repeated, len(array), 100 * repeated / len(array),
            )  # fmt: skip


def _warn_of_distances(ranking: Ranking, path: Path) -> None:
    """Right answers that gather at the end of the list are the mark of distances, or of a wrong order."""
    n_images = len(ranking.i2t)
    if n_images >= 10 and ranking.t2i.mean() > 0.75 * (n_images - 1):
        logger.warning(
            "%s: the right images stand at rank %.0f of %d on average, far below chance; if these are distances, "
            "save their negatives, else check the order of rows and columns.",
            path,
            ranking.t2i.mean() + 1,
            n_images,
        )
