"""Write a shard photo by photo into its rows of the dataset's arrays; they count once its record is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from lgsf.data.photos.shards import COUNTS, Photo, Shard, ShardRecord, array_plan, publish, withdraw
from lgsf.data.source import Store
from lgsf.data.store.encode import Loss, stored_block
from lgsf.data.store.shards import RowsWriter, create_arrays
from lgsf.extract.regions import Regions
from lgsf.system.errors import LgsfError
from lgsf.system.faults import reason


class ShardWriter:
    """Context manager; `put` adds photos in order, `finish` publishes. Without `finish` the shard is missing.

    dtype  of the features before `store` encodes them
    maker  see lgsf.data.photos.shards.ShardRecord

    Memory: one photo. A kill at any moment leaves rows that nothing vouches for.
    """

    def __init__(self, shard: Shard, *, dtype: str, store: Store, maker: str) -> None:
        self._shard, self._dtype, self._store, self._maker = shard, np.dtype(dtype), store, maker
        self._splits = [split for split, rows in shard.pieces.items() for _ in rows]  # of each photo
        self._photos: list[Photo] = []
        self._loss = {split: Loss(split, store) for split in shard.pieces}
        self._rows: dict[str, RowsWriter] = {}
        self._width: tuple[int, int] | None = None  # (n_regions, dim), once a photo has shown it
        self._written = 0  # photos; those before the first with regions wait for the arrays
        self._stack = ExitStack()

    def __enter__(self) -> ShardWriter:
        with self._refusals():
            withdraw(self._shard)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def photos(self) -> list[Photo]:
        """Records of all photos so far."""
        return self._photos

    def put(self, photo: Photo, regions: Regions | None, n_regions: int) -> None:
        """Add one photo; None where it could not be read. `n_regions` is the width of the arrays.

        Raises LgsfError for features that are not finite in the stored precision, and where the disk refuses.
        """
        self._photos.append(photo)
        if regions is None:
            if self._width is not None:
                self._append(None)
            return
        with np.errstate(over="ignore"):  # said below
            features: npt.NDArray[Any] = regions.features.float().cpu().numpy().astype(self._dtype)
        if not np.isfinite(features).all():
            raise LgsfError(
                f"{photo.file_name}: its features are not finite in {self._dtype.name}; set extract.dtype and "
                "extract.precision to float32, or take another model."
            )
        if self._width is None:
            self._open((n_regions, features.shape[1]))
        self._append((features, regions.boxes.float().cpu().numpy()))

    def _open(self, width: tuple[int, int]) -> None:
        shard, self._width = self._shard, width
        plan = array_plan(shard.lengths, width, self._dtype, self._store)
        own = [name for name in plan if name.partition("/")[0] in shard.pieces]
        with self._refusals():
            create_arrays(shard.folder, plan, maker=self._maker, write=own)
        for split, rows in shard.pieces.items():
            self._rows[split] = self._stack.enter_context(RowsWriter(shard.folder / split, rows))
        while self._written < len(self._photos) - 1:
            self._append(None)

    def _append(self, found: tuple[npt.NDArray[Any], npt.NDArray[np.float32]] | None) -> None:
        """Write the next photo's row of every array: its regions and boxes, or nothing but zeros."""
        assert self._width is not None
        split = self._splits[self._written]
        regions, boxes = np.zeros((1, *self._width), self._dtype), np.zeros((1, self._width[0], 4), np.float32)
        counts = np.zeros(1, np.int32)
        if found is not None:
            counts[0] = len(found[0])
            regions[0, : counts[0]], boxes[0, : counts[0]] = found
        block = stored_block(self._store, regions, boxes)
        self._loss[split].add(regions, block, counts)
        with self._refusals():
            self._rows[split].append({**block, COUNTS: counts})
        self._written += 1

    def finish(self, **facts: Any) -> ShardRecord:
        """Put the rows on the disk, and say so; `facts` are the rest of the record."""
        if len(self._photos) != len(self._splits):
            raise ValueError(f"{len(self._photos)} photos written, {len(self._splits)} promised")
        sums: dict[str, str] = {}
        with self._refusals():
            for split, rows in self._rows.items():
                sums |= {f"{split}/{file}": digest for file, digest in rows.finish().items()}
        lost = {} if self._store == "as_is" else self._loss
        record = ShardRecord(
            maker=self._maker,
            shard=self._shard.number,
            shards=self._shard.of,
            store=self._store,
            photos=tuple(self._photos),
            loss={split: (loss.total, loss.largest, loss.regions) for split, loss in lost.items()},
            sha256=sums,
            **facts,
        )
        publish(self._shard, record)
        return record

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """Where the system refuses to write, one sentence."""
        try:
            yield
        except OSError as error:
            raise LgsfError(
                f"{self._shard.folder} could not be written ({reason(error)}): free space or mend the permissions and "
                "run the same command again."
            ) from error
