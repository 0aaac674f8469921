"""Bring your own model: turn the scores or embeddings of any code into a run that stands in every table.

The scores of a split are a matrix (n_images, n_captions), larger for better pairs, or two sets of vectors whose
cosine is the score. Rows and columns follow the dataset's images.parquet and captions.parquet, or any order
that an ids file names: {"images": [image_id, ...], "captions": [caption_id, ...]}.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lgsf.config.names import CONTROLS
from lgsf.data.layout import Split, open_dataset
from lgsf.evaluation.protocol import rank_split, write_split
from lgsf.importing.matrices import FileScores, Rows, exact, load, unit_rows
from lgsf.importing.unfinished import importing, is_free
from lgsf.metrics.ranking import Ranking
from lgsf.runs.origin import evaluated_files
from lgsf.runs.provenance import now, provenance
from lgsf.runs.record import FILE, RunRecord, read_record, write_record
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_json
from lgsf.system.given import check_seed
from lgsf.system.logs import PROGRESS

logger = logging.getLogger(__name__)


def import_scores(
    *,
    dataset: Path,
    split: str,
    name: str,
    seed: int,
    results: Path,
    scores: Path | None = None,
    images: Path | None = None,
    captions: Path | None = None,
    ids: Path | None = None,
    text_encoder: str | None = None,
    features: str | None = None,
    ensemble: bool | None = None,
) -> Path:
    """Rank the scores of one split and write them as run `<results>/<dataset>/<slug of name>/seed<k>`.

    scores            .npy (n_images, n_captions) of real numbers; or
    images, captions  .npy (n_images, dim) and (n_captions, dim): their cosine is the score
    ids               JSON file with the order of rows and columns; the dataset's own order without it
    name              how tables call the model; its folder is the name in small letters, digits and underscores
    text_encoder, features, ensemble   what the model reads and whether it is a mean over several, in the words of
                      config/published.csv; tables say "unknown" without them, and features are the dataset's

    A second import under the same name and seed adds another split or replaces the same one, and
    keeps what was said of the model unless it is said anew. Returns the run's
    folder. Raises LgsfError, and writes nothing, where files do not fit the split, hold something that is not
    finite, or the folder belongs to another run.
    """
    data = open_dataset(dataset)
    if split not in ("dev", "test"):
        raise LgsfError(f"--split must be dev or test, not {split!r}: only these are evaluated.")
    method = slug(name)
    folder = results / data.name / method / f"seed{check_seed(seed)}"
    identity = {"verb": "import-scores", "name": name}
    _earlier(folder, name, data.sha256, identity)
    facts, started = provenance(data, device=None), now()
    given = {"scores": scores, "images": images, "captions": captions, "ids": ids}
    imported = {
        what: {"file": path.name, "sha256": data.inputs.add(path)} for what, path in given.items() if path is not None
    }
    opened = data.split(split)
    order = _order(ids, opened)
    if scores is not None and images is None and captions is None:
        source, first = _matrix(scores, opened, order), scores
    elif scores is None and images is not None and captions is not None:
        source, first = _vectors(images, captions, opened, order), images
    else:
        raise LgsfError("give either --scores, or --images and --captions: one form of one model.")
    ranked = rank_split(data, opened, source)
    _warn_of_distances(ranked.ranking, first)
    files = [path for what, path in given.items() if path is not None and what != "ids"]
    _tell(source, files, ids, opened)
    if len({file["sha256"] for what, file in imported.items() if what != "ids"}) < len(files):
        logger.warning("%s and %s are the same file by their checksum; check the names.", *files)
    said = {"text_encoder": text_encoder, "features": features, "ensemble": ensemble}
    with importing(folder, **identity):
        earlier = _earlier(folder, name, data.sha256, identity)
        kept: dict[str, Any] = {
            key: getattr(earlier, key) if value is None and earlier else value for key, value in said.items()
        }
        splits, others = (earlier.config.get("imported", {}), _named(folder, earlier)) if earlier else ({}, {})
        write_split(folder / split, ranked, made_from={what: file["sha256"] for what, file in imported.items()})
        record = RunRecord(
            **facts,
            kind="imported",
            dataset=data.name,
            method=method,
            title=name,
            seed=seed,
            **kept,
            config={"imported": {**splits, split: imported}},
            files=others | evaluated_files(folder, (split,)),
            started=started,
            ended=now(),
            ending="finished",
        )
        write_record(folder, record)
    return folder


def _named(folder: Path, earlier: RunRecord) -> dict[str, str]:
    """What the record says of the files of all splits; a record of an older version says nothing of them."""
    return earlier.files or evaluated_files(folder, earlier.config.get("imported", {}))


def slug(name: str) -> str:
    """The name as a folder: small letters, digits and underscores; a hash where nothing of it is left."""
    if not name.strip():
        raise LgsfError("--name is empty: say how tables shall call the model.")
    words = "_".join(re.findall("[a-z0-9]+", name.lower()))
    if words in CONTROLS:
        raise LgsfError(f"--name {name!r} is that of a control: choose another.")
    return words or "imported_" + hashlib.sha256(name.encode()).hexdigest()[:8]


def _earlier(folder: Path, name: str, dataset_sha256: str, identity: Mapping[str, str]) -> RunRecord | None:
    """The record of what was imported into this folder before; LgsfError if the folder is another run's."""
    if not (folder / FILE).is_file():
        if not is_free(folder, identity):
            raise LgsfError(f"{folder} belongs to a run that is not finished: choose another --name or --seed.")
        return None
    record = read_record(folder)
    if record.kind != "imported" or record.checkpoint is not None or record.title != name:
        raise LgsfError(f"{folder} holds the run {(record.title or record.method)!r}: choose another --name or --seed.")
    if record.dataset_sha256 != dataset_sha256:
        raise LgsfError(f"{folder} was imported for another version of the dataset: delete it and import again.")
    return record


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


def _vectors(images: Path, captions: Path, split: Split, order: tuple[Rows, Rows | None]) -> FileScores:
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
    vectors = unit_rows(exact(arrays[1][column_of], captions), captions, column_of)
    return FileScores(images, arrays[0], vectors, len(vectors), order[0], None, tuple(arrays))


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
