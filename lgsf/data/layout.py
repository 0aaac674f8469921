"""A dataset on disk: open, check and write the one layout that every source is turned into.

<root>/dataset.json                 schema version, name, source, counts, checksums, protocol
<root>/vocabulary.json              words of the training captions (lgsf.data.text)
<root>/<split>/regions.npy          (n_images, n_regions, dim) float32, float16 or int8, zero behind the valid ones
<root>/<split>/region_scales.npy    with int8: (n_images, n_regions) float32, what a region's numbers are multiples of
<root>/<split>/region_counts.npy    (n_images,) int32, valid regions of each image, at least 1
<root>/<split>/boxes.npy            optional (n_images, n_regions, 4) float32, x0 y0 x1 y1 in 0..1
<root>/<split>/images.parquet       image_id, file_name, and whatever the source knows
<root>/<split>/captions.parquet     caption_id, image (row in images.parquet), text
<root>/<split>/tokens.npz           the captions as numbers of the vocabulary (lgsf.data.tokens)
<root>/<split>/judged.parquet       optional: image, caption (rows), grade, kind - pairs of special interest
<root>/<split>/relevance.npz        optional: image, caption (n_true,) int32 rows of every pair that is really true
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lgsf.data.checks.manifest import SPLIT_FILES as SPLIT_FILES
from lgsf.data.checks.manifest import SPLITS as SPLITS
from lgsf.data.checks.manifest import check_manifest
from lgsf.data.checks.verified import REMEDY, verify_split
from lgsf.data.store.regions import RegionReader
from lgsf.data.store.rows import RowReader as RowReader
from lgsf.data.text import Vocabulary
from lgsf.data.tokens import FILE as TOKENS
from lgsf.data.tokens import StoredTokens, read_tokens
from lgsf.system.artefacts.inputs import Inputs
from lgsf.system.artefacts.parquet import read_table
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_object
from lgsf.system.hashes import sha256 as sha256
from lgsf.system.names import check_file_name, check_name

SCHEMA_VERSION = 1
OPTIONAL_FILES = ("region_scales.npy", "boxes.npy", "judged.parquet", "relevance.npz", TOKENS)


@dataclass(frozen=True)
class Split:
    """One split of an opened dataset."""

    name: str
    regions: RegionReader
    region_counts: npt.NDArray[np.int32]
    boxes: RowReader | None
    images: pd.DataFrame
    captions: pd.DataFrame
    judged: pd.DataFrame | None
    tokens: StoredTokens | None

    @property
    def caption_image(self) -> npt.NDArray[np.int64]:
        """(n_captions,) int64: the row of each caption's image."""
        return self.captions["image"].to_numpy(np.int64)


@dataclass(frozen=True)
class Dataset:
    """An opened dataset: its manifest, and its splits on demand.

    sha256  of dataset.json as it was opened: the identity of the data, since it holds the checksums of all files
    inputs  the files that were opened, to be compared before anything that was made from them is published
    """

    root: Path
    manifest: Mapping[str, Any]
    sha256: str
    inputs: Inputs = field(default_factory=Inputs, compare=False)

    @property
    def name(self) -> str:
        return str(self.manifest["name"])

    def vocabulary(self) -> Vocabulary:
        """The words of the training captions; LgsfError where they are not those that the manifest names."""
        path = self.root / "vocabulary.json"
        vocabulary = Vocabulary.load(path)
        if (
            vocabulary.hash != self.manifest["vocabulary"]["hash"]
            or len(vocabulary) != self.manifest["vocabulary"]["size"]
        ):
            raise LgsfError(f"{path} holds other words than dataset.json names: {REMEDY}.")
        self.inputs.add(path)
        return vocabulary

    def split(self, name: str) -> Split:
        """Open a split; its files have the checksums of the manifest and agree with each other."""
        folder, promised = self.root / name, self.manifest["splits"][name]
        for file in SPLIT_FILES:
            if not (folder / file).is_file():
                raise LgsfError(f"{folder / file} is missing: {REMEDY}.")
            if file not in promised["sha256"]:
                raise LgsfError(f"{self.root / 'dataset.json'} has no checksum of {name}/{file}: {REMEDY}.")
        verify_split(self.root, name, promised["sha256"], OPTIONAL_FILES, self.inputs)
        boxes, judged, tokens = folder / "boxes.npy", folder / "judged.parquet", folder / TOKENS
        split = Split(
            name=name,
            regions=RegionReader(folder),
            region_counts=_all_rows(folder / "region_counts.npy"),
            boxes=RowReader(boxes) if boxes.is_file() else None,
            images=read_table(folder / "images.parquet", hint=REMEDY).frame,
            captions=read_table(folder / "captions.parquet", hint=REMEDY).frame,
            judged=read_table(judged, hint=REMEDY).frame if judged.is_file() else None,
            tokens=read_tokens(
                tokens, n_captions=promised["captions"], vocabulary_size=self.manifest["vocabulary"]["size"]
            )
            if tokens.is_file()
            else None,
        )
        lengths = {
            "regions.npy": (len(split.regions), promised["images"]),
            "region_counts.npy": (len(split.region_counts), promised["images"]),
            "images.parquet": (len(split.images), promised["images"]),
            "captions.parquet": (len(split.captions), promised["captions"]),
        }
        if split.boxes is not None:
            lengths["boxes.npy"] = (len(split.boxes), promised["images"])
        for file, (rows, expected) in lengths.items():
            if rows != expected:
                raise LgsfError(f"{folder / file} has {rows} rows and dataset.json promises {expected}: {REMEDY}.")
        self._check_names(split)
        return split

    def _check_names(self, split: Split) -> None:
        """File names are data: LgsfError for one that leads out of the dataset, where a report would look for it."""
        table = self.root / split.name / "images.parquet"
        for row, name in enumerate(split.images["file_name"].tolist() if "file_name" in split.images else ()):
            if name:
                check_file_name(name, what=f"{table}, row {row}")


def _all_rows(path: Path) -> npt.NDArray[Any]:
    reader = RowReader(path)
    return reader.read(np.arange(len(reader)))


def open_dataset(root: Path) -> Dataset:
    """Open `<root>/dataset.json`; a missing, damaged or foreign manifest is an error for the user."""
    path = root / "dataset.json"
    if not path.exists():
        raise LgsfError(f"{path} is missing: run the prepare step for this dataset first.")
    inputs = Inputs()
    digest = inputs.add(path)
    manifest = read_object(path, hint=REMEDY)
    if manifest.get("schema_version") != SCHEMA_VERSION:
        raise LgsfError(
            f"{path} has schema version {manifest.get('schema_version')!r} and this code reads "
            f"{SCHEMA_VERSION}: {REMEDY}."
        )
    check_manifest(path, manifest)
    check_name(manifest["name"], what=f"{path}: 'name'")
    inputs.check()  # the bytes that were parsed are those of the checksum
    return Dataset(root, manifest, digest, inputs)
