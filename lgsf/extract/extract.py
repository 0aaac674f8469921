"""Extract one shard of a dataset's features from its photos: resumable, since a shard that is whole stays."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from lgsf.data.photos.listing import check_share, list_photos
from lgsf.data.photos.settings import Extraction, PhotosSource
from lgsf.data.photos.shards import Shard, ShardRecord, fault_of, publish, read_record
from lgsf.data.settings import parse_source
from lgsf.extract.batches import PhotoBatch, photo_batches
from lgsf.extract.grids import Backbone
from lgsf.extract.models import Opened, check_device
from lgsf.extract.regions import Detector, Regions
from lgsf.extract.shard_writer import ShardWriter
from lgsf.system.errors import LgsfError
from lgsf.system.hashes import fingerprint
from lgsf.system.interrupts import Interrupts
from lgsf.system.locks import rows_lock
from lgsf.system.logs import PROGRESS
from lgsf.system.project.closure import ROOT, sources
from lgsf.system.settings import explain

logger = logging.getLogger(__name__)
EVERY = 10.0  # seconds between lines of progress
PACKAGES = ("torch", "transformers", "timm", "pillow", "numpy")
Extractor = Callable[[PhotoBatch], list[Regions]]


def extract(settings: Mapping[str, Any], *, name: str, shard: int, root: Path, device: str = "cpu") -> Path:
    """Make shard `shard` (counted from 1) of the dataset `name`, whose folder is `root`; return the shard's record.

    A shard that is whole and made by the same settings, model, code and versions from the same photos is left as it
    is; photos are told by names and sizes. Anything else in its place is made again.

    Raises LgsfError where settings, annotations or model are wrong, more photos than allowed cannot be read, or another
    process is just making this shard.
    """
    try:
        source = parse_source(settings)
    except ValidationError as error:
        raise LgsfError(f"datasets.{name}: {explain(error)}") from None
    if not isinstance(source, PhotosSource):
        raise LgsfError(f"datasets.{name}: features are extracted for source 'photos', not {source.source!r}.")
    wanted = source.extract
    if not 1 <= shard <= wanted.shards:
        raise LgsfError(f"--shard {shard}: datasets.{name}.extract has shards 1 to {wanted.shards}.")
    _, listed = list_photos(source)
    place = Shard(root, shard, wanted.shards, {split: len(names) for split, names in listed.items()})
    names = [name for names in listed.values() for name in names]
    own = [names[k] for k in place.photos]
    target = check_device(device)
    torch.set_num_threads(wanted.threads)
    opened, extractor = open_extractor(wanted, target)
    facts: dict[str, Any] = {"deciding": wanted.deciding(), "model": opened.files, "versions": _versions()}
    decided = {**facts, "store": source.store, "lengths": place.lengths}
    maker = fingerprint(decided, sources("lgsf.extract.extract", root=ROOT), ROOT)
    facts["key"] = fingerprint({"maker": maker, "shard": shard, "shards": wanted.shards, "photos": own}, [], ROOT)
    title = f"{name}, shard {shard} of {wanted.shards}"
    allowed = int(wanted.max_bad * len(names))
    with rows_lock(place.folder / ".lock", place.photos, what=title):
        if _whole(place, facts["key"], Path(source.images)):
            publish(place)
            logger.log(PROGRESS, "%s is whole: nothing to do.", title)
            return place.record
        progress = _Progress(title, len(own))
        with (
            Interrupts() as interrupts,
            ShardWriter(place, dtype=wanted.dtype, store=source.store, maker=maker) as writer,
        ):
            batches = photo_batches(
                Path(source.images), own, opened.preprocess, size=wanted.batch_size, workers=wanted.workers
            )
            for batch in batches:
                interrupts.check()
                _put(writer, batch, extractor(batch) if batch.read else [], wanted)
                bad = {photo.file_name: photo.bad for photo in writer.photos if photo.bad is not None}
                if len(bad) > allowed:  # more than the whole dataset may have: no need to look at the rest
                    check_share(bad, len(names), wanted.max_bad)
                progress.say(len(writer.photos), len(bad))
            writer.finish(**facts)
    for photo in writer.photos:
        if photo.bad is not None:
            logger.warning("%s: left out, %s", Path(source.images) / photo.file_name, photo.bad)
    progress.end()
    return place.record


def open_extractor(wanted: Extraction, device: torch.device) -> tuple[Opened, Extractor]:
    """The model that the settings name, and how it turns a batch into regions, one entry per photo that was read."""
    dtype = getattr(torch, wanted.precision)
    mixed = torch.autocast(device.type, dtype, enabled=wanted.precision != "float32")
    if wanted.kind == "regions":
        detector = Detector.open(wanted, device)

        def regions(batch: PhotoBatch) -> list[Regions]:
            with mixed:
                return detector(batch.inputs)

        return detector.opened, regions
    backbone = Backbone.open(wanted, device)

    def cells(batch: PhotoBatch) -> list[Regions]:
        sizes = [(batch.photos[k].width, batch.photos[k].height) for k in batch.read]
        with mixed:
            return backbone(batch.inputs, sizes)

    return backbone.opened, cells


def _put(writer: ShardWriter, batch: PhotoBatch, found: list[Regions], wanted: Extraction) -> None:
    by_position = dict(zip(batch.read, found, strict=True))
    for position, photo in enumerate(batch.photos):
        regions = by_position.get(position)
        width = wanted.top_k if wanted.kind == "regions" else len(regions.features) if regions else 0
        writer.put(photo, regions, width)


def _whole(shard: Shard, key: str, photos: Path) -> bool:
    """Whether a shard need not be made again."""
    if not shard.record.is_file():
        return False
    try:
        record = read_record(shard)
    except LgsfError as error:
        logger.warning("%s It is made again.", error)
        return False
    if record.key != key or _changed(record, photos):
        return False
    fault = fault_of(shard, record)
    if fault is not None:
        logger.warning("%s: this shard is made again.", fault)
    return fault is None


def _changed(record: ShardRecord, photos: Path) -> bool:
    """Whether a photo has another size than it was read with, or is there where it was not."""
    for photo in record.photos:
        path = photos / photo.file_name
        if (path.stat().st_size if path.is_file() else None) != photo.bytes:
            return True
    return False


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


class _Progress:
    """A line every few seconds: how many photos, how fast, how long still."""

    def __init__(self, title: str, total: int) -> None:
        self._title, self._total, self._done = title, total, 0
        self._begin = self._said = time.monotonic()

    def say(self, done: int, bad: int) -> None:
        self._done = done
        now = time.monotonic()
        if now - self._said >= EVERY:
            self._said = now
            rate = done / (now - self._begin)
            logger.log(
                PROGRESS, "%s: %d of %d photos, %.1f a second, %s left%s", self._title, done, self._total, rate,
                _duration((self._total - done) / rate), f", {bad} cannot be read" if bad else "",
            )  # fmt: skip

    def end(self) -> None:
        seconds = time.monotonic() - self._begin
        logger.log(
            PROGRESS, "%s: %d photos in %s, %.1f a second", self._title, self._done, _duration(seconds),
            self._done / max(seconds, 1e-9),
        )  # fmt: skip


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
