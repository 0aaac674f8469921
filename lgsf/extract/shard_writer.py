"""Write a shard photo by photo beside its place, and put it there when it is whole."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from lgsf.data.photos.shards import ARRAYS, MANIFEST, Photo, ShardManifest, checksum_file, write_checksums
from lgsf.extract.regions import Regions
from lgsf.system.errors import LgsfError
from lgsf.system.files import write_text
from lgsf.system.hashes import sha256

PARTIAL = ".partial-"


class ShardWriter:
    """Context manager; `put` adds photos in order, `finish` publishes. Without `finish` nothing of it is left.

    Memory: one batch. A kill at any moment leaves a folder that the next writer of this shard clears away.
    """

    def __init__(self, folder: Path, n_photos: int, dtype: str) -> None:
        self._folder = folder
        self._partial = folder.with_name(f"{PARTIAL}{folder.name}-{os.getpid()}")
        self._dtype, self._n_photos = np.dtype(dtype), n_photos
        self._photos: list[Photo] = []
        self._counts: list[int] = []
        self._files: dict[str, IO[bytes]] = {}
        self._width: tuple[int, int] | None = None  # (n_regions, dim)
        self._waiting = 0  # photos without regions that came before the first with some

    def __enter__(self) -> ShardWriter:
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        for left in self._folder.parent.glob(f"{PARTIAL}{self._folder.name}-*"):
            if not _alive(int(left.name.rpartition("-")[2])):
                shutil.rmtree(left)
        self._partial.mkdir()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()
        if self._partial.is_dir():
            shutil.rmtree(self._partial)
        if isinstance(value, OSError):
            raise LgsfError(
                f"{self._folder} could not be written ({value.strerror or value}); what was there before is untouched: "
                "free space or mend the permissions and run the same command again."
            ) from value

    @property
    def photos(self) -> list[Photo]:
        """Records of all photos so far."""
        return self._photos

    def put(self, photo: Photo, regions: Regions | None, n_regions: int) -> None:
        """Add one photo; None where it could not be read. `n_regions` is the width of the arrays.

        Raises LgsfError for features that are not finite in the stored precision.
        """
        self._photos.append(photo)
        self._counts.append(0 if regions is None else len(regions.features))
        if regions is None:
            if self._width is None:
                self._waiting += 1
            else:
                self._append(None)
            return
        if self._width is None:
            self._open((n_regions, regions.features.shape[1]))
        with np.errstate(over="ignore"):  # said below
            features: npt.NDArray[Any] = regions.features.float().cpu().numpy().astype(self._dtype)
        if not np.isfinite(features).all():
            raise LgsfError(
                f"{photo.file_name}: its features are not finite in {self._dtype.name}; set extract.dtype and "
                "extract.precision to float32, or take another model."
            )
        self._append((features, regions.boxes.float().cpu().numpy(), regions.scores.float().cpu().numpy()))

    def _open(self, width: tuple[int, int]) -> None:
        self._width = width
        shapes = {"features.npy": (*width, self._dtype), "boxes.npy": (width[0], 4, np.dtype(np.float32))}
        for name, (*shape, dtype) in shapes.items():
            self._header(name, (self._n_photos, *shape), dtype)
        self._header("scores.npy", (self._n_photos, width[0]), np.dtype(np.float32))
        for _ in range(self._waiting):
            self._append(None)

    def _header(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        file = self._files[name] = (self._partial / name).open("wb")
        header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)

    def _append(self, arrays: tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]] | None) -> None:
        assert self._width is not None
        n_regions, dim = self._width
        shapes = ((n_regions, dim), (n_regions, 4), (n_regions,))
        dtypes = (self._dtype, np.dtype(np.float32), np.dtype(np.float32))
        for place, file in enumerate(self._files.values()):
            row = np.zeros(shapes[place], dtypes[place])
            if arrays is not None:
                row[: len(arrays[place])] = arrays[place]
            file.write(row.tobytes())

    def finish(self, **facts: Any) -> ShardManifest:
        """Put the shard in its place; `facts` are the rest of its manifest."""
        if len(self._photos) != self._n_photos:
            raise ValueError(f"{len(self._photos)} photos written, {self._n_photos} promised")
        if self._width is None:  # not one photo could be read
            self._open((1, 1))
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
            file.close()
        np.save(self._partial / "counts.npy", np.array(self._counts, np.int32))
        sums = {name: sha256(self._partial / name) for name in ARRAYS}
        manifest = ShardManifest(photos=tuple(self._photos), sha256=sums, **facts)
        write_text(self._partial / MANIFEST, manifest.model_dump_json(indent=1) + "\n")
        checksum_file(self._folder).unlink(missing_ok=True)
        if self._folder.is_dir():
            shutil.rmtree(self._folder)
        self._partial.rename(self._folder)
        write_checksums(self._folder, manifest)
        return manifest


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
