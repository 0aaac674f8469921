"""Extracted features on disk: every shard writes its own rows of arrays that are those of the dataset afterwards.

<dataset>/shards/<split>/regions.npy         (n_photos, n_regions, dim) as configured by `store`, zero behind the regions
<dataset>/shards/<split>/region_scales.npy   with int8, as in a dataset (lgsf.data.layout)
<dataset>/shards/<split>/boxes.npy           (n_photos, n_regions, 4) float32, x0 y0 x1 y1 in 0..1
<dataset>/shards/<split>/region_counts.npy   (n_photos,) int32, regions of each photo; 0 where it could not be read
<dataset>/shards/arrays.json                 of what form the arrays are, and by whose making (lgsf.data.store.shards)
<dataset>/shards/<k>-of-<n>.json             what shard k holds, from what, and the checksums of its rows
<dataset>/shards/<k>-of-<n>.sha256           that record's checksum, as sha256sum reads it; written last

A shard holds consecutive photos of the list train, dev, test, so it has rows in one split or more. k counts from 1.
Arrays have a row for every photo of the list. Those of splits without unreadable photos are the dataset's own by a
second name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from lgsf.data.source import Store
from lgsf.data.store.encode import stored_arrays
from lgsf.data.store.shards import Form, fits, made_arrays, rows_sha256
from lgsf.system.errors import LgsfError
from lgsf.system.faults import reason
from lgsf.system.files import read_json, write_json, write_text
from lgsf.system.hashes import sha256
from lgsf.system.settings import explain

COUNTS = "region_counts.npy"
NAMED = 8  # shards that a sentence names


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


class ShardRecord(_Facts):
    """`<k>-of-<n>.json`. Nothing here depends on the machine or the hour: the same work gives the same bytes.

    key       of everything that decides the rows: maker, and names of the shard's photos
    maker     of everything that decides the arrays: settings, model, code, versions, and how long the splits are
    deciding  the settings among it
    store     how regions are kept
    model     file -> sha256 of the model's files
    loss      split -> what `store` loses (total, largest, regions of lgsf.data.store.encode.Loss)
    sha256    <split>/<file> -> of the shard's rows; empty where no photo could be read: no row of it is ever used
    """

    schema_version: Literal[2] = 2
    key: str
    maker: str
    shard: int
    shards: int
    deciding: dict[str, Any]
    store: Store
    model: dict[str, str]
    versions: dict[str, str]
    photos: tuple[Photo, ...]
    loss: dict[str, tuple[float, float, int]]
    sha256: dict[str, str]


@dataclass(frozen=True)
class Shard:
    """Shard `number` of `of`, counted from 1, of photos whose splits have `lengths`, in train, dev, test's order."""

    dataset: Path
    number: int
    of: int
    lengths: Mapping[str, int]

    @property
    def photos(self) -> range:
        """Its photos, counted over the whole list."""
        return share(sum(self.lengths.values()), self.number, self.of)

    @property
    def pieces(self) -> dict[str, range]:
        """Split -> its rows there, of those splits that it has any in."""
        found, first = {}, 0
        for split, length in self.lengths.items():
            rows = range(max(self.photos.start - first, 0), min(self.photos.stop - first, length))
            first += length
            if rows:
                found[split] = rows
        return found

    @property
    def folder(self) -> Path:
        """Where all shards of the dataset and their arrays lie."""
        return self.dataset / "shards"

    @property
    def record(self) -> Path:
        return self.folder / f"{self.number}-of-{self.of}.json"

    @property
    def checksum(self) -> Path:
        """What the workflow waits for."""
        return self.record.with_suffix(".sha256")


def share(total: int, shard: int, shards: int) -> range:
    """The photos of a shard, counted over the whole dataset."""
    return range((shard - 1) * total // shards, shard * total // shards)


def array_plan(
    lengths: Mapping[str, int], width: tuple[int, int], dtype: npt.DTypeLike, store: Store
) -> dict[str, Form]:
    """<split>/<file> -> form of all arrays, for features (n_regions, dim) of type `dtype`."""
    plan: dict[str, Form] = {}
    for split, length in lengths.items():
        files = stored_arrays(store, (length, *width), dtype, boxes=True)
        files[COUNTS] = ((length,), np.dtype(np.int32))
        plan |= {f"{split}/{file}": form for file, form in files.items()}
    return plan


def publish(shard: Shard, record: ShardRecord | None = None) -> None:
    """Write the record of a shard whose rows are on the disk, or leave the one that is there; then its checksum."""
    if record is not None:
        write_json(shard.record, record.model_dump(mode="json"))
    write_text(shard.checksum, f"{sha256(shard.record)}  {shard.record.name}\n")


def withdraw(shard: Shard) -> None:
    """Before rows of a shard are touched: nothing vouches for them."""
    shard.checksum.unlink(missing_ok=True)
    shard.record.unlink(missing_ok=True)


def read_record(shard: Shard) -> ShardRecord:
    """The shard's record; LgsfError where it is missing or broken."""
    raw = read_json(shard.record, hint="extract this shard again")
    try:
        return ShardRecord.model_validate(raw)
    except ValidationError as error:
        kind = type(raw).__name__ if not isinstance(raw, dict) else explain(error).removesuffix(".")
        raise LgsfError(f"{shard.record} is not a shard's record ({kind}): extract this shard again.") from None


def fault_of(shard: Shard, record: ShardRecord) -> str | None:
    """What is wrong with the shard's rows, all of whose bytes are read; None where they are whole."""
    if all(photo.bad is not None for photo in record.photos):
        return None
    made = made_arrays(shard.folder)
    if made.get("maker") != record.maker:
        return f"{shard.record} is of another model, code or version of a library than the arrays beside it"
    files = array_plan(dict.fromkeys(shard.pieces, 0), (0, 0), np.float32, record.store)
    if set(record.sha256) != set(files):
        return f"{shard.record} does not name its arrays"
    for name, promised in record.sha256.items():
        path, rows = shard.folder / name, shard.pieces[name.partition("/")[0]]
        try:
            if rows_sha256(path, rows) != promised:
                return f"{path} has in rows {rows.start} to {rows.stop - 1} another checksum than was written"
            shape, dtype = made["arrays"][name]
            if not fits(path, (tuple(shape), np.dtype(dtype))):
                return f"{path} has another form than was written"
        except LgsfError as error:
            return str(error).partition(":")[0]
        except OSError as error:
            return f"{path} cannot be read ({reason(error)})"
    return None


def open_shards(
    shards: Sequence[Shard], names: Sequence[str], deciding: Mapping[str, Any], store: Store
) -> list[ShardRecord]:
    """The records of all shards, checked against the checksums of their rows, these photos and these settings.

    Those that do not pass lose their checksum file, so that the workflow makes them, and them alone, again.

    Raises LgsfError for shards that are missing, damaged, or of other photos or settings.
    """
    records, faults = list[ShardRecord](), dict[int, str]()
    for shard in shards:
        try:
            record = read_record(shard)
            fault = _foreign(shard, record, names, deciding, store) or fault_of(shard, record)
        except LgsfError as error:
            fault = str(error).partition(":")[0]
        if fault is None:
            records.append(record)
        else:
            shard.checksum.unlink(missing_ok=True)
            faults[shard.number] = fault
    if faults:
        which = ", ".join(map(str, list(faults)[:NAMED])) + (", ..." if len(faults) > NAMED else "")
        raise LgsfError(
            f"{next(iter(faults.values()))}: run the same command again, which extracts shard"
            f"{'s' * (len(faults) > 1)} {which} of {len(shards)} anew (by hand: lgsf extract --shard {next(iter(faults))})."
        )
    return records


def _foreign(
    shard: Shard, record: ShardRecord, names: Sequence[str], deciding: Mapping[str, Any], store: Store
) -> str | None:
    if [photo.file_name for photo in record.photos] != [names[k] for k in shard.photos]:
        return f"{shard.record} holds other photos than the annotations name now"
    if (record.deciding, record.store) != (deciding, store):
        return f"{shard.record} was extracted with other settings"
    return None
