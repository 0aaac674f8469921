"""HDF5 as the packs of captioning and visual question answering have it; groups, arrays and names are told apart.

Per image       <id>_features, <id>_boxes               Meshed-Memory Transformer's coco_detections.hdf5
                <id>/features, <id>/boxes, img_w, img_h  VL-T5 and its successors
Over all images image_features, image_bb                (n, n_regions, dim), (n, n_regions, 4): bottom-up-attention-vqa
                the same with pos_boxes                 (n, 2) first row and end of each image in (total, dim)
                features, boxes                         (n, n_regions, dim), (n, n_regions, 4)
Arrays over all images need ids: a dataset image_ids, image_id or ids in the file, or a text or JSON file beside it.
Published companions that are pickles are never opened, since a pickle runs code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from lgsf.data.annotations.lines import read_lines
from lgsf.data.features.image import AGAIN, ImageFeatures, Shape, named, shape_of
from lgsf.data.features.settings import Hdf5Features
from lgsf.system.errors import LgsfError

PER_IMAGE = (("{id}_features", "{id}_boxes"), ("{id}/features", "{id}/boxes"))
OVERALL = (("image_features", "image_bb"), ("features", "boxes"))
IDS, BOUNDS = ("image_ids", "image_id", "ids"), "pos_boxes"
CHUNKS = 64 << 20  # bytes of unpacked chunks that stay at hand


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where the features of one image are: the names of the datasets, and the rows there or None for all."""

    file: int
    features: str
    boxes: str | None
    sizes: tuple[str, str] | None = None
    row: int | None = None
    bounds: tuple[int, int] | None = None


class Hdf5Reader:
    """The images of several files by id."""

    aliases: Mapping[str, str] = {}

    def __init__(self, settings: Hdf5Features) -> None:
        """Open the files and note what they hold; LgsfError where they are damaged or of no known layout."""
        self._paths = [Path(path) for path in settings.paths]
        self._ids = [Path(path) for path in settings.ids or ()]
        if settings.ids is not None and len(self._ids) != len(self._paths):
            raise LgsfError(
                f"features.ids names {len(self._ids)} files for {len(self._paths)} in features.paths; give one for each."
            )
        self._opened = [_open(path) for path in self._paths]
        self._entries: dict[str, _Entry] = {}
        for number, path in enumerate(self._paths):
            with _explained(path):
                for key, entry in self._index(number, settings):
                    if key in self._entries:
                        raise LgsfError(f"{path}: the image {key} is in features.paths twice; keep one of them.")
                    self._entries[key] = entry

    @property
    def files(self) -> Mapping[str, Path]:
        return named([*self._paths, *self._ids])

    @property
    def keys(self) -> Collection[str]:
        return self._entries.keys()

    def place(self, key: str) -> str:
        return f"{self._paths[self._entries[key].file]}, image {key}"

    def shape(self, key: str) -> Shape:
        entry = self._entries[key]
        with _explained(self._paths[entry.file]):
            data = self._dataset(entry, entry.features)
            shape = data.shape if entry.row is None else data.shape[1:]
            if entry.bounds is not None:
                shape = (entry.bounds[1] - entry.bounds[0], *data.shape[1:])
            return shape_of(self.place(key), shape, data.dtype)

    def read(self, key: str) -> ImageFeatures:
        entry = self._entries[key]
        with _explained(self._paths[entry.file]):
            regions = self._rows(entry, entry.features)
            boxes = self._rows(entry, entry.boxes) if entry.boxes else None
            size = None
            if entry.sizes:
                width, height = (float(np.asarray(self._dataset(entry, name)[()])) for name in entry.sizes)
                size = (width, height)
            return ImageFeatures(regions if regions.ndim == 2 else regions[None], boxes, size)

    def _dataset(self, entry: _Entry, name: str) -> h5py.Dataset:
        found = self._opened[entry.file].get(name)
        if not isinstance(found, h5py.Dataset):
            raise LgsfError(f"{self._paths[entry.file]}: {name!r} is no dataset; {AGAIN}, or correct the key.")
        return found

    def _rows(self, entry: _Entry, name: str) -> npt.NDArray[Any]:
        data = self._dataset(entry, name)
        if entry.bounds is not None:
            return np.asarray(data[entry.bounds[0] : entry.bounds[1]])
        return np.asarray(data[()] if entry.row is None else data[entry.row])

    def _index(self, number: int, settings: Hdf5Features) -> Iterator[tuple[str, _Entry]]:
        path, file = self._paths[number], self._opened[number]
        if settings.features_key is not None:
            layout = (settings.features_key, settings.boxes_key)
            per_image = "{id}" in settings.features_key
        else:
            layout, per_image = _layout(path, file)
        if per_image:
            yield from _per_image(path, file, number, *layout)
        else:
            yield from self._overall(number, *layout)

    def _overall(self, number: int, features: str, boxes: str | None) -> Iterator[tuple[str, _Entry]]:
        path, file = self._paths[number], self._opened[number]
        if not isinstance(file.get(features), h5py.Dataset):
            raise LgsfError(
                f"{path} has no dataset {features!r}, only {_listing(file)}; correct features.features_key."
            )
        boxes = boxes if boxes is not None and boxes in file else None
        bounds = np.asarray(file[BOUNDS][()]) if BOUNDS in file else None
        n_images = len(file[features]) if bounds is None else len(bounds)
        if bounds is not None:
            _check_bounds(path, bounds, len(file[features]))
        ids = _ids(path, file, self._ids[number] if self._ids else None, n_images)
        for row, key in enumerate(ids):
            if bounds is None:
                yield key, _Entry(number, features, boxes, row=row)
            else:
                yield key, _Entry(number, features, boxes, bounds=(int(bounds[row, 0]), int(bounds[row, 1])))


def _open(path: Path) -> h5py.File:
    if not path.is_file():
        raise LgsfError(f"{path} is missing: check the path in the configuration.")
    with _explained(path):
        return h5py.File(path, "r", rdcc_nbytes=CHUNKS)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """What h5py raises for damaged files, as a sentence."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise LgsfError(f"{path} is not a readable HDF5 file ({reason}): {AGAIN}.") from None


def _layout(path: Path, file: h5py.File) -> tuple[tuple[str, str | None], bool]:
    """The names of features and boxes, and whether they are per image."""
    for features, boxes in OVERALL:
        if isinstance(file.get(features), h5py.Dataset):
            return (features, boxes), False
    first = next(iter(file), None)
    if first is not None:
        for features, boxes in PER_IMAGE:
            if any(_keys(file, features, few=True)):
                return (features, boxes), True
    raise LgsfError(
        f"{path} has no features under a known name, only {_listing(file)}; name them in features.features_key, "
        "per image as in '{id}_features', and their boxes in features.boxes_key."
    )


def _keys(file: h5py.File, pattern: str, *, few: bool = False) -> Iterator[str]:
    """Ids for which a dataset of the pattern's name exists; among the first hundred names alone if `few`."""
    parts = pattern.split("/")
    place = next(k for k, part in enumerate(parts) if "{id}" in part)
    before, inner = "/".join(parts[:place]), "/".join(parts[place + 1 :])
    form = re.compile(re.escape(parts[place]).replace(re.escape("{id}"), "(.+)", 1))
    group = file.get(before) if before else file
    for number, name in enumerate(group if isinstance(group, h5py.Group) else ()):
        if few and number == 100:
            return
        match = form.fullmatch(name)
        found = group.get(name) if match else None
        if inner:
            found = found.get(inner) if isinstance(found, h5py.Group) else None
        if match and isinstance(found, h5py.Dataset):
            yield match[1]


def _per_image(
    path: Path, file: h5py.File, number: int, features: str, boxes: str | None
) -> Iterator[tuple[str, _Entry]]:
    empty = True
    for key in _keys(file, features):
        empty = False
        own = features.replace("{id}", key)
        own_boxes = boxes.replace("{id}", key) if boxes else None
        folder = own.rpartition("/")[0]
        sizes = (f"{folder}/img_w", f"{folder}/img_h")
        known = bool(folder) and all(name in file for name in sizes)
        has_boxes = own_boxes is not None and own_boxes in file
        yield key, _Entry(number, own, own_boxes if has_boxes else None, sizes if known else None)
    if empty:
        raise LgsfError(f"{path} has nothing like {features!r}, only {_listing(file)}; correct features.features_key.")


def _check_bounds(path: Path, bounds: npt.NDArray[Any], n_rows: int) -> None:
    fine = bounds.ndim == 2 and bounds.shape[1] == 2 and bounds.dtype.kind in "iu"
    if not fine or (bounds < 0).any() or (bounds[:, 0] >= bounds[:, 1]).any() or (bounds > n_rows).any():
        raise LgsfError(f"{path}: {BOUNDS} is not the first row and the end of every image in {n_rows} rows; {AGAIN}.")


def _ids(path: Path, file: h5py.File, companion: Path | None, n_images: int) -> list[str]:
    """The id of every row."""
    if companion is not None:
        ids, source = _companion_ids(companion), str(companion)
    else:
        name = next((name for name in IDS if isinstance(file.get(name), h5py.Dataset)), None)
        if name is None:
            raise LgsfError(
                f"{path} does not say which row is which image: give a file of ids as features.ids. Where its companion "
                "is a pickle of id to row, write that as JSON first; a pickle is not opened here, since it runs code."
            )
        values = np.asarray(file[name][()]).reshape(-1)
        ids = [value.decode("utf-8") if isinstance(value, bytes) else str(value) for value in values.tolist()]
        source = f"{path}, {name}"
    if len(ids) != n_images:
        raise LgsfError(f"{source} has {len(ids)} ids for the {n_images} images of {path}; give one per image.")
    return ids


def _companion_ids(path: Path) -> list[str]:
    """Ids in the order of rows, from lines of text, a JSON list, or a JSON object of id to row."""
    if path.suffix != ".json":
        return read_lines(path, "image id")
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise LgsfError(f"{path} is missing: check features.ids in the configuration.") from None
    except ValueError as error:
        raise LgsfError(f"{path} is not valid JSON ({error}): write it again.") from None
    if isinstance(content, dict) and sorted(map(str, content.values())) == sorted(map(str, range(len(content)))):
        return [str(key) for key, _ in sorted(content.items(), key=lambda item: int(item[1]))]
    if isinstance(content, list) and all(isinstance(value, str | int) for value in content):
        return [str(value) for value in content]
    raise LgsfError(f"{path} is neither a list of ids nor an object of id to row, 0 to the last; write it again.")


def _listing(file: h5py.File) -> str:
    """The first names in a file, for an error."""
    names = [name for name, _ in zip(file, range(6), strict=False)]
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "") if names else "nothing"
