"""A shard of extracted features on disk: whole or absent, and told from a damaged one by its checksums.

<dataset>/shards/<k>-of-<n>/shard.json    what the shard holds, from what, and the checksums of its arrays
<dataset>/shards/<k>-of-<n>/features.npy  (n_photos, n_regions, dim) float16 or float32, zero behind the regions
<dataset>/shards/<k>-of-<n>/boxes.npy     (n_photos, n_regions, 4) float32, x0 y0 x1 y1 in 0..1
<dataset>/shards/<k>-of-<n>/scores.npy    (n_photos, n_regions) float32, best first
<dataset>/shards/<k>-of-<n>/counts.npy    (n_photos,) int32, regions of each photo; 0 where it could not be read
<dataset>/shards/<k>-of-<n>.sha256        lines of sha256sum for all of these; written last

A shard holds consecutive photos of the dataset, in the order train, dev, test. k counts from 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from lgsf.data.layout import RowReader
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_json, write_text
from lgsf.system.hashes import sha256
from lgsf.system.settings import explain

FOLDER, MANIFEST = "shards", "shard.json"
ARRAYS = ("features.npy", "boxes.npy", "scores.npy", "counts.npy")


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Photo(_Facts):
    """One photo as it was read: its size as it is looked at (after its EXIF rotation); `bad` says why it could not be."""

    file_name: str
    sha256: str | None = None
    bytes: int | None = None
    width: int = 0
    height: int = 0
    bad: str | None = None


class ShardManifest(_Facts):
    """`shard.json`. Nothing here depends on the machine or the hour: the same work gives the same bytes.

    key       of everything that decides the features: settings, model, code, versions, names of the photos
    deciding  the settings among it
    model     file -> sha256 of the model's files
    """

    schema_version: Literal[1] = 1
    key: str
    shard: int
    shards: int
    deciding: dict[str, Any]
    model: dict[str, str]
    versions: dict[str, str]
    photos: tuple[Photo, ...]
    sha256: dict[str, str]


def shard_folder(dataset: Path, shard: int, shards: int) -> Path:
    """Where shard `shard` of `shards` lies, counted from 1."""
    return dataset / FOLDER / f"{shard}-of-{shards}"


def checksum_file(folder: Path) -> Path:
    """The checksums beside a shard's folder."""
    return folder.with_name(folder.name + ".sha256")


def share(total: int, shard: int, shards: int) -> range:
    """The photos of a shard, counted over the whole dataset."""
    return range((shard - 1) * total // shards, shard * total // shards)


def write_checksums(folder: Path, manifest: ShardManifest) -> None:
    """Lines as `sha256sum --check` reads them, run in the folder of the shards."""
    sums = {MANIFEST: sha256(folder / MANIFEST), **manifest.sha256}
    write_text(checksum_file(folder), "".join(f"{sums[name]}  {folder.name}/{name}\n" for name in sorted(sums)))


def read_manifest(folder: Path) -> ShardManifest:
    """The shard's `shard.json`; LgsfError where it is missing or broken."""
    path = folder / MANIFEST
    raw = read_json(path, hint="extract this shard again")
    try:
        return ShardManifest.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        kind = type(raw).__name__ if not isinstance(raw, dict) else explain(error).removesuffix(".")
        raise LgsfError(f"{path} is not a shard's record ({kind}): extract this shard again.") from None


def fault_of(folder: Path, manifest: ShardManifest) -> str | None:
    """What is wrong with the shard's arrays, all of whose bytes are read; None where they are whole."""
    if set(manifest.sha256) != set(ARRAYS):
        return f"{folder / MANIFEST} does not name its arrays"
    for name, promised in manifest.sha256.items():
        try:
            if sha256(folder / name) != promised:
                return f"{folder / name} has another checksum than was written"
        except OSError as error:
            return f"{folder / name} cannot be read ({error.strerror})"
    return None


class Shard:
    """A shard whose checksums hold, open for reading rows; `first` is the number of its first photo in the dataset."""

    def __init__(self, folder: Path, manifest: ShardManifest, first: int) -> None:
        self.folder, self.manifest, self.first = folder, manifest, first
        self.features, self.boxes = (RowReader(folder / name) for name in ("features.npy", "boxes.npy"))
        self.counts = np.load(folder / "counts.npy", allow_pickle=False)

    @property
    def shape(self) -> tuple[int, int, str]:
        """(n_regions, dim, dtype): what all shards of a dataset share."""
        return self.features.shape[1], self.features.shape[2], self.features.dtype.name


def open_shards(dataset: Path, names: Sequence[str], deciding: dict[str, Any], shards: int) -> list[Shard]:
    """All shards of a dataset, checked against their checksums, these photos and these settings.

    A shard that does not pass loses its checksum file, so that the workflow makes it again.

    Raises LgsfError for the first shard that is missing, damaged, or of other photos or settings.
    """
    opened = []
    for number in range(1, shards + 1):
        folder = shard_folder(dataset, number, shards)
        block = share(len(names), number, shards)
        fault = None
        try:
            manifest = read_manifest(folder)
            if [photo.file_name for photo in manifest.photos] != [names[k] for k in block]:
                fault = f"{folder} holds other photos than the annotations name now"
            elif manifest.deciding != deciding:
                fault = f"{folder} was extracted with other settings"
            else:
                fault = fault_of(folder, manifest)
        except LgsfError as error:
            fault = str(error).partition(":")[0]
        if fault is not None:
            checksum_file(folder).unlink(missing_ok=True)
            raise LgsfError(
                f"{fault}: run the same command again, which extracts shard {number} of {shards} anew "
                f"(by hand: lgsf extract --shard {number})."
            )
        opened.append(Shard(folder, manifest, block.start))
    shapes = {shard.shape: shard.folder for shard in opened if len(shard.counts)}
    if len(shapes) > 1:
        (one, first), (other, second) = list(shapes.items())[:2]
        raise LgsfError(f"{first} holds features of {one} and {second} of {other}: extract both with one model.")
    return opened
