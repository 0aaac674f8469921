"""The photos of a dataset in the order that shards share them out (train, dev, test), and how many may be unreadable."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from lgsf.data.annotations.model import SPLIT_NAMES, Annotations
from lgsf.data.annotations.read import read_annotations
from lgsf.data.photos.settings import PhotosSource
from lgsf.system.errors import LgsfError

logger = logging.getLogger(__name__)


def list_photos(settings: PhotosSource) -> tuple[Annotations, dict[str, list[str]]]:
    """What is said of the photos, and split -> their file names, in the order of the shards.

    Raises LgsfError where annotations are wrong, the folder is absent, or there are fewer photos than shards.
    """
    folder = Path(settings.images)
    if not folder.is_dir():
        raise LgsfError(f"{folder}: there is no such folder; set images to the folder of the photos.")
    annotations = read_annotations(settings.annotations).limited(train=settings.limit_train, rest=settings.limit_eval)
    names: dict[str, list[str]] = {
        split: [image.file_name for image in annotations.images if image.split == split] for split in SPLIT_NAMES
    }
    total = sum(map(len, names.values()))
    if total < settings.extract.shards:
        raise LgsfError(f"extract.shards is {settings.extract.shards} for {total} photos; ask for fewer shards.")
    return annotations, names


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
