"""Extracted shards to the dataset layout, in bounded memory."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lgsf.data.annotations.model import SPLIT_NAMES, Annotations
from lgsf.data.photos.listing import list_photos
from lgsf.data.photos.settings import PhotosSource
from lgsf.data.photos.shards import MANIFEST, Shard, open_shards
from lgsf.data.text import Vocabulary
from lgsf.data.writer import Block, DatasetWriter
from lgsf.system.errors import LgsfError
from lgsf.system.hashes import sha256

logger = logging.getLogger(__name__)
BLOCK_BYTES = 32 << 20  # of the shards that are held at once
LISTED = 100  # unreadable photos that the manifest names
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Table:
    """The images and captions of one split that are left, and which photos of the whole list its images are."""

    images: pd.DataFrame
    captions: pd.DataFrame
    photos: Rows


def prepare(settings: PhotosSource, *, name: str, root: Path) -> None:
    """Assemble the shards under `root` into the dataset `name`; the shards stay as they are.

    Raises LgsfError, and leaves nothing new in `root`, where a shard is missing or damaged (its checksum file is
    then removed, so that the workflow makes it again), or too many photos could not be read.
    """
    annotations, names = list_photos(settings)
    extract = settings.extract
    shards = open_shards(root, names, extract.deciding(), extract.shards)
    photos = [photo for shard in shards for photo in shard.manifest.photos]
    bad = {photo.file_name: photo.bad for photo in photos if photo.bad is not None}
    check_share(bad, len(names), extract.max_bad)
    tables = _tables(annotations, names, shards)
    _check_folds(tables["test"], settings)
    protocol = {"folds": settings.folds}
    with DatasetWriter(root, name=name, source={}, protocol=protocol, store=settings.store) as writer:
        writer.vocabulary(Vocabulary.build(tables["train"].captions["text"], min_count=settings.min_count))
        n_regions, dim, dtype = next(shard.shape for shard in shards if len(shard.counts))
        for split, table in tables.items():
            writer.split(
                split,
                images=table.images,
                captions=table.captions,
                shape=(len(table.photos), n_regions, dim),
                dtype=dtype,
                blocks=_blocks(shards, table.photos),
                boxes=True,
            )
        writer.note(
            source={
                "kind": "photos",
                "licence": settings.licence,
                "features": settings.features_name,
                "extract": extract.deciding(),
                "model": shards[0].manifest.model,
                "versions": shards[0].manifest.versions,
                "annotations": dict(annotations.notes),
                "unreadable": {"count": len(bad), "first": dict(list(bad.items())[:LISTED])},
                "sha256": {file.name: sha256(file) for file in annotations.files}
                | {f"{shard.folder.name}/{MANIFEST}": sha256(shard.folder / MANIFEST) for shard in shards},
            }
        )


def check_share(bad: Mapping[str, str | None], total: int, allowed: float) -> None:
    """Say which photos are left out; LgsfError where they are more than the configured share."""
    if not bad:
        return
    file, reason = next(iter(bad.items()))
    said = f"{len(bad)} of {total} photos cannot be read, the first is {file} ({reason})"
    if len(bad) > allowed * total:
        raise LgsfError(
            f"{said}; extract.max_bad allows {allowed:.2%}: mend or replace them, take them out of the annotations, "
            "or allow more."
        )
    logger.warning("%s; they are left out with their captions.", said)


def _tables(annotations: Annotations, names: Sequence[str], shards: Sequence[Shard]) -> dict[str, _Table]:
    """Per split what is left without the photos that could not be read; sizes and checksums are the photos' own."""
    counts = np.concatenate([shard.counts for shard in shards])
    photos = [photo for shard in shards for photo in shard.manifest.photos]
    tables: dict[str, _Table] = {}
    first = 0
    for split in SPLIT_NAMES:
        own = annotations.split(split)
        images, captions = own.image_table(), own.caption_table()
        place = np.arange(first, first + len(images))
        first += len(images)
        kept = counts[place] > 0
        if not kept.any():
            raise LgsfError(f"none of the {len(images)} photos of the split {split} can be read; mend the folder.")
        row = np.where(kept, kept.cumsum() - 1, -1).astype(np.int32)
        read = [photos[k] for k in place[kept]]
        captions = captions.assign(image=row[captions["image"].to_numpy()])
        tables[split] = _Table(
            images=images[kept]
            .reset_index(drop=True)
            .assign(
                width=np.array([photo.width for photo in read], np.int32),
                height=np.array([photo.height for photo in read], np.int32),
                sha256=[photo.sha256 for photo in read],
            ),
            captions=captions[captions["image"] >= 0].reset_index(drop=True),
            photos=place[kept],
        )
    return tables


def _check_folds(test: _Table, settings: PhotosSource) -> None:
    if len(test.images) % settings.folds:
        raise LgsfError(
            f"{len(test.images)} readable test photos do not divide into {settings.folds} equal folds; mend the "
            "unreadable ones, or change folds or limit_eval."
        )


def _blocks(shards: Sequence[Shard], photos: Rows) -> Iterator[Block]:
    """Features, counts and boxes of the given photos, in ascending order, a few MiB at a time."""
    for shard in shards:
        own = photos[(photos >= shard.first) & (photos < shard.first + len(shard.counts))] - shard.first
        row_bytes = int(np.prod(shard.features.shape[1:])) * shard.features.dtype.itemsize
        size = max(1, BLOCK_BYTES // row_bytes)
        for start in range(0, len(own), size):
            rows = own[start : start + size]
            regions: npt.NDArray[Any] = shard.features.read(rows)
            yield regions, shard.counts[rows], shard.boxes.read(rows)
