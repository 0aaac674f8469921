"""Write a dataset in the layout: block by block, checked, and visible only once it is whole."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lgsf.data.checks.facts import Checks
from lgsf.data.layout import OPTIONAL_FILES, SCHEMA_VERSION, SPLIT_FILES
from lgsf.data.source import Store
from lgsf.data.store.encode import Loss, stored_arrays, stored_block
from lgsf.data.store.filled import Filled
from lgsf.data.text import Vocabulary
from lgsf.data.tokens import FILE as TOKENS
from lgsf.data.tokens import write_tokens
from lgsf.system.artefacts.atomic import alive, clear_killed
from lgsf.system.errors import LgsfError
from lgsf.system.faults import os_error, reason
from lgsf.system.files import write_arrays, write_json
from lgsf.system.hashes import sha256
from lgsf.system.logs import PROGRESS
from lgsf.system.names import check_name

logger = logging.getLogger(__name__)
# regions (n, n_regions, dim), counts (n,), boxes (n, n_regions, 4) or None
Block = tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any] | None]


class DatasetWriter:
    """Context manager that builds a dataset beside its place and moves it there when all is well.

    After an exception nothing of the new dataset is left and whatever stood in the place still stands. `store` is
    how regions are kept; what that loses is measured and noted in the manifest.
    """

    def __init__(
        self,
        root: Path,
        *,
        name: str,
        source: Mapping[str, Any],
        protocol: Mapping[str, Any],
        store: Store = "as_is",
    ) -> None:
        check_name(name, what="the name of a dataset")
        self.root, self._store = root, store
        self._partial = root / f".partial-{os.getpid()}"
        self._manifest: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "name": name,
            "source": dict(source),
            "protocol": dict(protocol),
            "splits": {},
        }
        self._folders: list[str] = []
        self._checks = Checks(name)
        self._vocabulary: Vocabulary | None = None
        self._texts: dict[str, list[str]] = {}

    def __enter__(self) -> DatasetWriter:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            clear_killed(self.root)
            for left in self.root.glob(".partial-*"):
                process = left.name.removeprefix(".partial-")
                if process.isdecimal() and not alive(int(process)):  # a killed writer could not clear up
                    shutil.rmtree(left, ignore_errors=True)
            self._partial.mkdir()
        except OSError as error:
            raise self._refused(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        fault = value
        try:
            if kind is None:
                self._publish()
        except OSError as error:
            fault = error
        finally:
            shutil.rmtree(self._partial, ignore_errors=True)
            with contextlib.suppress(OSError):
                self.root.rmdir()  # refused unless it is empty
        cause = None if isinstance(fault, LgsfError) else os_error(fault)
        if cause is not None and (cause.filename is None or Path(cause.filename).is_relative_to(self.root)):
            raise self._refused(cause) from fault  # else it is about a source

    def _refused(self, error: OSError) -> LgsfError:
        """The sentence for a place that cannot be written."""
        return LgsfError(
            f"{self.root} could not be written ({reason(error)}): "
            "free space or mend the permissions and prepare the dataset again."
        )

    def note(self, **facts: Any) -> None:
        """Add facts to the manifest, for example checksums of the source or measured proposal recall."""
        self._manifest.update(facts)

    def folder(self, name: str) -> Path:
        """An empty folder beside the splits for files of the source's own; it is published with the rest."""
        folder = self._partial / name
        folder.mkdir()
        self._folders.append(name)
        return folder

    def vocabulary(self, vocabulary: Vocabulary) -> None:
        """Store the vocabulary of the training captions."""
        vocabulary.save(self._partial / "vocabulary.json")
        self._vocabulary = vocabulary
        self._manifest["vocabulary"] = {
            "size": len(vocabulary),
            "hash": vocabulary.hash,
            "min_count": vocabulary.min_count,
            "tokenizer": vocabulary.tokenizer,
        }

    def split(
        self,
        name: str,
        *,
        images: pd.DataFrame,
        captions: pd.DataFrame,
        shape: tuple[int, int, int],
        dtype: npt.DTypeLike,
        blocks: Iterable[Block] | Filled,
        boxes: bool,
        judged: pd.DataFrame | None = None,
        relevance: tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]] | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Write one split, its captions without invisible characters.

        `shape` is (n_images, n_regions, dim), `blocks` yields consecutive images of `dtype`; those of `Filled` are on
        the disk as they are to be stored already, so they are looked at and adopted.

        `relevance` holds the image rows and caption rows of all pairs that are true, where the source knows.
        """
        folder = self._partial / name
        folder.mkdir()
        _check_tables(name, images, captions, shape[0])
        captions = self._checks.captions(name, captions)
        self._texts[name] = captions["text"].tolist()
        counts = np.zeros(shape[0], np.int32)
        plan = stored_arrays(self._store, shape, dtype, boxes=boxes)
        filled = blocks if isinstance(blocks, Filled) else None
        loss = filled.loss if filled else Loss(name, self._store)
        done = 0
        with ExitStack() as stack:
            files = {
                file: stack.enter_context(_ArrayFile(folder / file, *form))
                for file, form in plan.items()
                if filled is None
            }
            for block, block_counts, block_boxes in blocks:
                if done + len(block) > shape[0]:
                    raise ValueError(f"split {name}: more images than the {shape[0]} promised")
                _check_block(name, block, block_counts, done)
                self._checks.images(name, block, block_counts)
                if boxes and block_boxes is None:
                    raise ValueError(f"split {name}: boxes were promised and block {done} has none")
                if filled is None:
                    stored = stored_block(self._store, block, block_boxes if boxes else None)
                    loss.add(block, stored, block_counts)
                    for file, values in stored.items():
                        files[file].append(values)
                counts[done : done + len(block)] = block_counts
                done += len(block)
        if done != shape[0]:
            raise ValueError(f"split {name}: {done} images written, {shape[0]} promised")
        if filled is not None:
            filled.adopt(folder, plan)
        np.save(folder / "region_counts.npy", counts)
        images.to_parquet(folder / "images.parquet", index=False)
        captions.to_parquet(folder / "captions.parquet", index=False)
        if judged is not None:
            judged.to_parquet(folder / "judged.parquet", index=False)
        if relevance is not None:
            write_arrays(folder / "relevance.npz", dict(zip(("image", "caption"), relevance, strict=True)))
        present = [file for file in SPLIT_FILES + OPTIONAL_FILES if (folder / file).is_file()]
        self._manifest["splits"][name] = {
            "images": shape[0],
            "captions": len(captions),
            "n_regions": shape[1],
            "region_dim": shape[2],
            "dtype": plan["regions.npy"][1].name,
            **loss.facts(),
            "mean_regions": float(counts.mean()),
            "captions_per_image": _describe_counts(captions, shape[0]),
            **(facts or {}),
            "sha256": {file: sha256(folder / file) for file in present},
        }

    def _publish(self) -> None:
        if set(self._manifest["splits"]) != {"train", "dev", "test"} or "vocabulary" not in self._manifest:
            raise ValueError("a dataset needs the splits train, dev, test and a vocabulary")
        vocabulary = self._judge()
        for name, texts in self._texts.items():
            self._manifest["splits"][name]["sha256"][TOKENS] = write_tokens(self._partial / name, texts, vocabulary)
        # The manifest goes first and comes last: a kill in between leaves a folder that nobody can open.
        (self.root / "dataset.json").unlink(missing_ok=True)
        for name in self._manifest["splits"]:
            target = self.root / name
            target.mkdir(parents=True, exist_ok=True)
            for file in SPLIT_FILES + OPTIONAL_FILES:
                if (self._partial / name / file).is_file():
                    (self._partial / name / file).replace(target / file)
                else:
                    (target / file).unlink(missing_ok=True)
        for name in self._folders:
            if (self.root / name).is_dir():
                shutil.rmtree(self.root / name)
            (self._partial / name).replace(self.root / name)
        (self._partial / "vocabulary.json").replace(self.root / "vocabulary.json")
        write_json(self.root / "dataset.json", self._manifest)

    def _judge(self) -> Vocabulary:
        """The vocabulary, after what the checks found is in manifest and log; LgsfError for data that cannot be so."""
        assert self._vocabulary is not None
        found = self._checks.finish(self._vocabulary)
        if found.errors:
            raise LgsfError(found.errors[0])
        for name, facts in found.facts.items():
            self._manifest["splits"][name]["checks"] = dict(facts)
        self._manifest["warnings"] = list(found.warnings)
        for sentence in found.warnings:
            logger.warning("%s", sentence)
        for name, split in self._manifest["splits"].items():
            logger.log(PROGRESS, "%s", _told(self._manifest["name"], name, split))
        return self._vocabulary


class _ArrayFile:
    """A .npy file that grows block by block.

    Plain writes, because a writable memory map would keep everything written resident until it is flushed.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        self._path, self._shape, self._dtype = path, shape, np.dtype(dtype)
        self._items = 0

    def __enter__(self) -> _ArrayFile:
        self._file = self._path.open("wb")
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": self._shape}
        np.lib.format.write_array_header_1_0(self._file, header)
        return self

    def append(self, block: npt.NDArray[Any]) -> None:
        """Write the next rows, (n, *shape[1:])."""
        if block.shape[1:] != self._shape[1:]:
            raise ValueError(f"{self._path.name}: rows of shape {block.shape[1:]}, {self._shape[1:]} promised")
        self._file.write(np.ascontiguousarray(block, self._dtype).data)
        self._items += block.size

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if kind is None and self._items != math.prod(self._shape):
            raise ValueError(f"{self._path.name}: {self._items} numbers written, {self._shape} promised")


def _told(dataset: str, name: str, split: Mapping[str, Any]) -> str:
    """One line about a split: what a person wants to have seen before training on it."""
    checks = split["checks"]
    also = {key.removeprefix("images_also_in_"): n for key, n in checks.items() if key.startswith("images_also_in_")}
    per_image = ", ".join(f"{count} x {times}" for times, count in split["captions_per_image"].items())
    return (
        f"{dataset}, {name}: {split['images']} images ({checks['repeated_images']} repeated"
        f"{''.join(f', {n} also in {other}' for other, n in also.items())}), {split['captions']} captions (images x "
        f"captions: {per_image}), {checks['words_per_caption']:.1f} words per caption, "
        f"{100 * checks['unknown_words']:.1f} % of them unknown"
    )


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
        image = images["image_id"].iloc[int(empty[0])]
        raise LgsfError(f"split {name}: image {image!r} has no caption; remove the image or add a caption.")


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
