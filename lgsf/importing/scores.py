"""Bring your own model: turn the scores or embeddings of any code into a run that stands in every table.

The scores of a split are a matrix (n_images, n_captions), larger for better pairs, or two sets of vectors whose
cosine is the score. Rows and columns follow the dataset's images.parquet and captions.parquet, or any order
that an ids file names: {"images": [image_id, ...], "captions": [caption_id, ...]}.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lgsf.config.names import CONTROLS
from lgsf.data.layout import open_dataset
from lgsf.evaluation.protocol import write_split
from lgsf.importing.ranked import Given, Similarity, rank_files
from lgsf.importing.unfinished import importing, is_free
from lgsf.runs.origin import evaluated_files
from lgsf.runs.provenance import now, provenance
from lgsf.runs.record import FILE, RunRecord, read_record, write_record
from lgsf.system.errors import LgsfError
from lgsf.system.given import check_seed

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
    similarity: Similarity = "cosine",
    text_encoder: str | None = None,
    features: str | None = None,
    ensemble: bool | None = None,
) -> Path:
    """Rank the scores of one split and write them as run `<results>/<dataset>/<slug of name>/seed<k>`.

    scores            .npy (n_images, n_captions) of real numbers; or
    images, captions  .npy (n_images, dim) and (n_captions, dim): their cosine, or dot product, is the score
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
    given = Given(scores=scores, images=images, captions=captions, ids=ids, similarity=similarity)
    ranked, imported = rank_files(data, split, given)
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
