"""Batches of photos, decoded and made ready for a model by other processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lgsf.data.photos.shards import Photo
from lgsf.extract.pictures import Picture, Unreadable, read_picture

# Pictures to what the model takes, by name: pixel_values (n, 3, height, width), and pixel_mask where photos of
# different sizes are padded to one.
Preprocess = Callable[[Sequence[Image.Image]], dict[str, Tensor]]


@dataclass(frozen=True)
class PhotoBatch:
    """Consecutive photos of a shard.

    photos  one record per photo, also of those that could not be read
    read    positions in `photos` of those that could; rows of `inputs` are these, in order
    """

    photos: list[Photo]
    read: list[int]
    inputs: dict[str, Tensor] = field(default_factory=dict)


class _Files(Dataset[tuple[str, Picture | Unreadable]]):
    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._folder, self._names = folder, names

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, row: int) -> tuple[str, Picture | Unreadable]:
        return self._names[row], read_picture(self._folder / self._names[row])


def photo_batches(
    folder: Path, names: Sequence[str], preprocess: Preprocess, *, size: int, workers: int
) -> Iterator[PhotoBatch]:
    """The photos `names` of `folder` in order, `size` at a time; the last batch may be smaller."""
    loader = DataLoader(
        _Files(folder, names),
        batch_size=size,
        shuffle=False,
        num_workers=min(workers, -(-len(names) // size)),
        collate_fn=partial(_collate, preprocess),
    )
    yield from loader


def _collate(preprocess: Preprocess, items: Sequence[tuple[str, Picture | Unreadable]]) -> PhotoBatch:
    photos: list[Photo] = []
    read: list[int] = []
    pictures: list[Image.Image] = []
    for position, (name, item) in enumerate(items):
        if isinstance(item, Unreadable):
            photos.append(Photo(file_name=name, sha256=item.sha256, bytes=item.size, bad=item.reason))
            continue
        width, height = item.pixels.size
        photos.append(Photo(file_name=name, sha256=item.sha256, bytes=item.size, width=width, height=height))
        read.append(position)
        pictures.append(item.pixels)
    if not pictures:
        return PhotoBatch(photos, [])
    try:
        return PhotoBatch(photos, read, _tensors(preprocess(pictures)))
    except Exception:  # a photo that is too thin for the model's processor must not take its neighbours along
        return _one_by_one(preprocess, photos, read, pictures)


def _one_by_one(
    preprocess: Preprocess, photos: list[Photo], read: list[int], pictures: Sequence[Image.Image]
) -> PhotoBatch:
    """The batch without the photos that the model's processor refuses on their own."""
    fine: list[int] = []
    for place, picture in enumerate(pictures):
        try:
            preprocess([picture])
        except Exception as error:
            refused = photos[read[place]]
            reason = f"the model's processor refuses it: {' '.join(str(error).split())[:120]}"
            photos[read[place]] = Photo(
                file_name=refused.file_name, sha256=refused.sha256, bytes=refused.bytes, bad=reason
            )
        else:
            fine.append(place)
    if len(fine) == len(pictures):
        preprocess(pictures)  # the batch as a whole is at fault, and says so
    if not fine:
        return PhotoBatch(photos, [])
    return PhotoBatch(photos, [read[place] for place in fine], _tensors(preprocess([pictures[p] for p in fine])))


def _tensors(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: torch.as_tensor(value) for name, value in inputs.items()}
