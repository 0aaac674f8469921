"""Write a dataset in the layout: block by block, checked, and visible only once it is whole."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lgsf.data.layout import OPTIONAL_FILES, SCHEMA_VERSION, SPLIT_FILES, sha256
from lgsf.data.text import Vocabulary
from lgsf.errors import LgsfError

# regions (n, n_regions, dim), counts (n,), boxes (n, n_regions, 4) or None
Block = tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any] | None]


class DatasetWriter:
    """Context manager that builds a dataset beside its place and moves it there when all is well.

    After an exception nothing of the new dataset is left and whatever stood in the place still stands.
    """

    def __init__(self, root: Path, *, name: str, source: Mapping[str, Any], protocol: Mapping[str, Any]) -> None:
        self.root = root
        self._partial = root / f".partial-{os.getpid()}"
        self._manifest: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "name": name,
            "source": dict(source),
            "protocol": dict(protocol),
            "splits": {},
        }

    def __enter__(self) -> DatasetWriter:
        self._partial.mkdir(parents=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self._publish()
        finally:
            shutil.rmtree(self._partial, ignore_errors=True)

    def note(self, **facts: Any) -> None:
        """Add facts to the manifest, for example a licence or measured proposal recall."""
        self._manifest.update(facts)

    def vocabulary(self, vocabulary: Vocabulary) -> None:
        """Store the vocabulary of the training captions."""
        vocabulary.save(self._partial / "vocabulary.json")
        self._manifest["vocabulary"] = {"size": len(vocabulary), "hash": vocabulary.hash, "min_count": vocabulary.min_count}

    def split(
        self,
        name: str,
        *,
        images: pd.DataFrame,
        captions: pd.DataFrame,
        shape: tuple[int, int, int],
        dtype: npt.DTypeLike,
        blocks: Iterable[Block],
        boxes: bool,
        judged: pd.DataFrame | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Write one split; `shape` is (n_images, n_regions, dim), `blocks` yields consecutive images."""
        folder = self._partial / name
        folder.mkdir()
        _check_tables(name, images, captions, shape[0])
        regions = np.lib.format.open_memmap(folder / "regions.npy", mode="w+", dtype=np.dtype(dtype), shape=shape)
        box_array = None
        if boxes:
            box_array = np.lib.format.open_memmap(
                folder / "boxes.npy", mode="w+", dtype=np.dtype(np.float32), shape=(*shape[:2], 4)
            )
        counts = np.zeros(shape[0], np.int32)
        done = 0
        for block, block_counts, block_boxes in blocks:
            stop = done + len(block)
            _check_block(name, block, block_counts, done)
            regions[done:stop] = block
            counts[done:stop] = block_counts
            if box_array is not None:
                assert block_boxes is not None
                box_array[done:stop] = block_boxes
            done = stop
        if done != shape[0]:
            raise ValueError(f"split {name}: {done} images written, {shape[0]} promised")
        regions.flush()
        if box_array is not None:
            box_array.flush()
        np.save(folder / "region_counts.npy", counts)
        images.to_parquet(folder / "images.parquet", index=False)
        captions.to_parquet(folder / "captions.parquet", index=False)
        if judged is not None:
            judged.to_parquet(folder / "judged.parquet", index=False)
        present = [file for file in SPLIT_FILES + OPTIONAL_FILES if (folder / file).is_file()]
        self._manifest["splits"][name] = {
            "images": shape[0],
            "captions": len(captions),
            "n_regions": shape[1],
            "region_dim": shape[2],
            "dtype": np.dtype(dtype).name,
            "mean_regions": float(counts.mean()),
            "captions_per_image": _describe_counts(captions, shape[0]),
            **(facts or {}),
            "sha256": {file: sha256(folder / file) for file in present},
        }

    def _publish(self) -> None:
        if set(self._manifest["splits"]) != {"train", "dev", "test"} or "vocabulary" not in self._manifest:
            raise ValueError("a dataset needs the splits train, dev, test and a vocabulary")
        for name in self._manifest["splits"]:
            target = self.root / name
            target.mkdir(parents=True, exist_ok=True)
            for file in SPLIT_FILES + OPTIONAL_FILES:
                if (self._partial / name / file).is_file():
                    os.replace(self._partial / name / file, target / file)
                else:
                    (target / file).unlink(missing_ok=True)
        os.replace(self._partial / "vocabulary.json", self.root / "vocabulary.json")
        # The manifest comes last: while it is absent or old, its checksums tell that the rest is not it.
        manifest = self._partial / "dataset.json"
        manifest.write_text(json.dumps(self._manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        os.replace(manifest, self.root / "dataset.json")


def _check_tables(name: str, images: pd.DataFrame, captions: pd.DataFrame, n_images: int) -> None:
    if len(images) != n_images:
        raise ValueError(f"split {name}: {len(images)} rows of images, {n_images} promised")
    for table, column in ((images, "image_id"), (captions, "caption_id")):
        repeated = table.loc[table[column].duplicated(), column]
        if len(repeated):
            raise LgsfError(f"split {name}: {column} {repeated.iloc[0]!r} occurs twice; ids must be unique.")
    per_image = np.bincount(captions["image"].to_numpy(np.int64), minlength=n_images)
    if len(per_image) > n_images:
        raise ValueError(f"split {name}: a caption points behind the last image")
    if (empty := np.flatnonzero(per_image == 0)).size:
        raise LgsfError(
            f"split {name}: image {images['image_id'].iloc[int(empty[0])]!r} has no caption; "
            "remove the image or add a caption."
        )


def _check_block(name: str, block: npt.NDArray[Any], counts: npt.NDArray[Any], first: int) -> None:
    finite = np.isfinite(block).reshape(len(block), -1).all(axis=1)
    if not finite.all():
        row = first + int(np.argmin(finite))
        raise LgsfError(f"split {name}: the features of image row {row} hold NaN or infinity; extract them again.")
    if (counts < 1).any():
        row = first + int(np.argmax(counts < 1))
        raise LgsfError(f"split {name}: image row {row} has no valid region (all zero); extract it again.")


def _describe_counts(captions: pd.DataFrame, n_images: int) -> dict[str, int]:
    """How many images have how many captions, e.g. {"5": 1000}."""
    counts = np.bincount(captions["image"].to_numpy(np.int64), minlength=n_images)
    values, frequency = np.unique(counts, return_counts=True)
    return {str(v): int(f) for v, f in zip(values, frequency, strict=True)}
