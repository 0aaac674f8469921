"""The photos of a dataset in the order that shards share them out: train, dev, test."""

from __future__ import annotations

from pathlib import Path

from lgsf.data.annotations.model import SPLIT_NAMES, Annotations
from lgsf.data.annotations.read import read_annotations
from lgsf.data.photos.settings import PhotosSource
from lgsf.system.errors import LgsfError


def list_photos(settings: PhotosSource) -> tuple[Annotations, list[str]]:
    """What is said of the photos, and their file names in the order of the shards.

    Raises LgsfError where annotations are wrong, the folder is absent, or there are fewer photos than shards.
    """
    folder = Path(settings.images)
    if not folder.is_dir():
        raise LgsfError(f"{folder}: there is no such folder; set images to the folder of the photos.")
    annotations = read_annotations(settings.annotations).limited(train=settings.limit_train, rest=settings.limit_eval)
    names = [image.file_name for split in SPLIT_NAMES for image in annotations.images if image.split == split]
    if len(names) < settings.extract.shards:
        raise LgsfError(f"extract.shards is {settings.extract.shards} for {len(names)} photos; ask for fewer shards.")
    return annotations, names
