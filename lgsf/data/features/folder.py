"""A folder with one array file per image, as ragged packs come: <name>.npy, or <name>.npz with features and boxes.

.npy   (n_regions, dim), or (dim,) for one vector
.npz   the same under one of the names in FEATURES, boxes under one of BOXES, perhaps image_w and image_h (the packs
       of bottom-up-attention.pytorch and of the usual captioning code); other members are never opened
A mapping of image ids to photos (VSE-infinity's id_mapping.json) tells which file is which image where names do not.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from lgsf.data.annotations.json_files import load_json
from lgsf.data.features.image import AGAIN, ImageFeatures, Shape, named, shape_of
from lgsf.data.features.settings import MAPPING, FolderFeatures
from lgsf.data.layout import RowReader
from lgsf.system.errors import LgsfError

FEATURES, BOXES = ("features", "feat", "x"), ("boxes", "bbox", "box")
SUFFIXES = (".npy", ".npz")
Array = npt.NDArray[Any]


class FolderReader:
    """The arrays of a folder by the name of their files, without the ending."""

    def __init__(self, settings: FolderFeatures) -> None:
        self._root = Path(settings.path)
        self._arrays = _array_files(self._root)
        self._boxes_root = settings.boxes_path
        self._boxes = _array_files(Path(settings.boxes_path)) if settings.boxes_path else {}
        own = self._root / MAPPING
        self._mapping = Path(settings.mapping) if settings.mapping else own if own.is_file() else None
        self.aliases: Mapping[str, str] = _read_mapping(self._mapping) if self._mapping else {}

    @property
    def files(self) -> Mapping[str, Path]:
        arrays = {f"features/{path.relative_to(self._root).as_posix()}": path for path in self._arrays.values()}
        boxes = {f"boxes/{name}": path for name, path in named(self._boxes.values()).items()}
        return arrays | boxes | ({self._mapping.name: self._mapping} if self._mapping else {})

    @property
    def keys(self) -> Collection[str]:
        return self._arrays.keys()

    def place(self, key: str) -> str:
        return str(self._arrays[key])

    def shape(self, key: str) -> Shape:
        path = self._arrays[key]
        if path.suffix == ".npz":  # nothing but unpacking tells whether it is whole
            regions = self._archive(path)[0]
            return shape_of(str(path), regions.shape, regions.dtype)
        rows = RowReader(path, remedy=AGAIN)
        return shape_of(str(path), rows.shape, rows.dtype)

    def read(self, key: str) -> ImageFeatures:
        path = self._arrays[key]
        regions, boxes, size = self._archive(path) if path.suffix == ".npz" else (_array(path), None, None)
        if self._boxes:
            if key not in self._boxes:
                raise LgsfError(
                    f"{path} has no boxes under the same name in {self._boxes_root}; add them, or set "
                    "features.boxes_path to null."
                )
            boxes = _array(self._boxes[key])
        return ImageFeatures(regions if regions.ndim == 2 else regions[None], boxes, size)

    def _archive(self, path: Path) -> tuple[Array, Array | None, tuple[float, float] | None]:
        """(features, boxes, width and height) of an .npz file; members of other names stay closed."""
        try:
            with np.load(path, allow_pickle=False) as archive:
                wanted = next((name for name in FEATURES if name in archive.files), None)
                if wanted is None:
                    raise LgsfError(
                        f"{path} holds {', '.join(archive.files) or 'nothing'} and none of {', '.join(FEATURES)}: "
                        "rename its features."
                    )
                found = next((name for name in BOXES if name in archive.files), None)
                size = None
                if {"image_w", "image_h"} <= set(archive.files):
                    size = (float(archive["image_w"]), float(archive["image_h"]))
                return archive[wanted], archive[found] if found else None, size
        except LgsfError:
            raise
        except Exception as error:  # damage shows in many ways: zlib.error, BadZipFile, TokenError of a header, ...
            raise LgsfError(f"{path} is not a readable .npz file ({error}); {AGAIN}.") from None


def _array(path: Path) -> Array:
    rows = RowReader(path, remedy=AGAIN)
    return rows.read(np.arange(len(rows)))


def _array_files(folder: Path) -> dict[str, Path]:
    """Name without ending -> file; LgsfError for two files of one name, and where there is none."""
    if not folder.is_dir():
        raise LgsfError(f"{folder}: there is no such folder; set the path in the configuration.")
    found: dict[str, Path] = {}
    for place, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = Path(place, name)
            if path.suffix not in SUFFIXES or name.startswith("."):
                continue
            if path.stem in found:
                raise LgsfError(f"{path} and {found[path.stem]} stand for one image; keep one of them.")
            found[path.stem] = path
    if not found:
        raise LgsfError(f"{folder} holds no .npy and no .npz file; set the path to the folder of the features.")
    return found


def _read_mapping(path: Path) -> dict[str, str]:
    """Image id -> file name of the photo."""
    content = load_json(path)
    for key, value in content.items():
        if not isinstance(value, str):
            raise LgsfError(
                f"{path}: {key!r} stands for {value!r:.60}, and should for the file name of a photo; correct it."
            )
    return {key: PurePosixPath(value).name for key, value in content.items()}
