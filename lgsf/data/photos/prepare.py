"""Extracted shards to the dataset layout: their arrays are adopted as they are, in bounded memory."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from lgsf.data.annotations.model import SPLIT_NAMES, Annotations
from lgsf.data.photos.listing import check_share, list_photos
from lgsf.data.photos.settings import PhotosSource
from lgsf.data.photos.shards import Photo, Shard, ShardRecord, open_shards
from lgsf.data.store.encode import Loss
from lgsf.data.store.filled import Filled
from lgsf.data.store.rows import RowReader
from lgsf.data.text import Vocabulary
from lgsf.data.writer import DatasetWriter
from lgsf.system.errors import LgsfError
from lgsf.system.hashes import sha256
from lgsf.system.locks import rows_lock
from lgsf.system.logs import PROGRESS

logger = logging.getLogger(__name__)
BLOCK_BYTES = 32 << 20  # of the arrays that are held at once
LISTED = 100  # unreadable photos that the manifest names
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Table:
    """The images and captions of one split that are left, and which of its `listed` photos its images are."""

    images: pd.DataFrame
    captions: pd.DataFrame
    photos: Rows
    listed: int


def prepare(settings: PhotosSource, *, name: str, root: Path) -> None:
    """Make the dataset `name` of the shards under `root`, which stay as they are.

    Raises LgsfError, and leaves nothing new in `root`, where a shard is missing or damaged (its checksum file is
    then removed, so that the workflow makes it again) or just being made, or too many photos could not be read.
    """
    annotations, listed = list_photos(settings)
    names = [name for own in listed.values() for name in own]
    lengths, of = {split: len(own) for split, own in listed.items()}, settings.extract.shards
    shards = [Shard(root, number, of, lengths) for number in range(1, of + 1)]
    with rows_lock(shards[0].folder / ".lock", range(len(names)), what=f"A shard of {name}"):
        records = open_shards(shards, names, settings.extract.deciding(), settings.store)
        photos = [photo for record in records for photo in record.photos]
        bad = {photo.file_name: photo.bad for photo in photos if photo.bad is not None}
        check_share(bad, len(names), settings.extract.max_bad)
        tables = _tables(annotations, lengths, photos)
        _check_folds(tables["test"], settings)
        protocol = {"folds": settings.folds}
        with DatasetWriter(root, name=name, source={}, protocol=protocol, store=settings.store) as writer:
            writer.vocabulary(Vocabulary.build(tables["train"].captions["text"], min_count=settings.min_count))
            for split, table in tables.items():
                _write(writer, split, table, shards[0].folder / split, records, settings)
            writer.note(
                source={
                    "kind": "photos",
                    "licence": settings.licence,
                    "features": settings.features_name,
                    "extract": settings.extract.deciding(),
                    "model": records[0].model,
                    "versions": records[0].versions,
                    "annotations": dict(annotations.notes),
                    "unreadable": {"count": len(bad), "first": dict(list(bad.items())[:LISTED])},
                    "sha256": {file.name: sha256(file) for file in annotations.files}
                    | {shard.record.name: sha256(shard.record) for shard in shards},
                }
            )


def _write(
    writer: DatasetWriter,
    split: str,
    table: _Table,
    folder: Path,
    records: Sequence[ShardRecord],
    settings: PhotosSource,
) -> None:
    """Add one split, whose arrays lie in `folder`."""
    loss = Loss(split, settings.store)
    for record in records:
        loss.join(*record.loss.get(split, (0.0, 0.0, 0)))
    if (missing := table.listed - len(table.photos)) > 0:
        logger.log(
            PROGRESS, "%s: its features are copied without the rows of the %d photos that cannot be read, so they are "
            "on the disk twice; the features of splits without such photos are there once.", split, missing,
        )  # fmt: skip
    n_regions, dim = RowReader(folder / "regions.npy").shape[1:]
    writer.split(
        split,
        images=table.images,
        captions=table.captions,
        shape=(len(table.photos), n_regions, dim),
        dtype=settings.extract.dtype,
        blocks=Filled(folder, table.photos, loss, BLOCK_BYTES),
        boxes=True,
    )


def _tables(annotations: Annotations, lengths: Mapping[str, int], photos: Sequence[Photo]) -> dict[str, _Table]:
    """Per split what is left without the photos that could not be read; sizes and checksums are the photos' own."""
    tables: dict[str, _Table] = {}
    first = 0
    for split in SPLIT_NAMES:
        listed = photos[first : first + lengths[split]]
        first += len(listed)
        own = annotations.split(split)
        images, captions = own.image_table(), own.caption_table()
        kept = np.array([photo.bad is None for photo in listed], bool)
        if not kept.any():
            raise LgsfError(f"none of the {len(images)} photos of the split {split} can be read; mend the folder.")
        row = np.where(kept, kept.cumsum() - 1, -1).astype(np.int32)
        read = [photo for photo in listed if photo.bad is None]
        captions = captions.assign(image=row[captions["image"].to_numpy()])
        tables[split] = _Table(
            images=images[kept]
            .reset_index(drop=True)
            .assign(
                width=np.array([photo.width for photo in read], np.int32),
                height=np.array([photo.height for photo in read], np.int32),
                sha256=np.array([photo.sha256 for photo in read], object),
            ),
            captions=captions[captions["image"] >= 0].reset_index(drop=True),
            photos=np.flatnonzero(kept),
            listed=len(listed),
        )
    return tables


def _check_folds(test: _Table, settings: PhotosSource) -> None:
    if len(test.images) % settings.folds:
        raise LgsfError(
            f"{len(test.images)} readable test photos do not divide into {settings.folds} equal folds; mend the "
            "unreadable ones, or change folds or limit_eval."
        )
