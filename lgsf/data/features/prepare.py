"""Annotations and features of any format to the dataset layout: images one by one, in bounded memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from lgsf.data.annotations.model import SPLIT_NAMES, Annotations
from lgsf.data.annotations.read import read_annotations
from lgsf.data.checks.characters import clean
from lgsf.data.features.folder import FolderReader
from lgsf.data.features.hdf5 import Hdf5Reader
from lgsf.data.features.image import FeatureReader, named
from lgsf.data.features.join import Join
from lgsf.data.features.match import match
from lgsf.data.features.settings import FeaturesSource, FolderFeatures, Hdf5Features, TsvFeatures
from lgsf.data.features.tsv import TsvReader
from lgsf.data.precomp.judgements import read_judgements
from lgsf.data.text import Vocabulary
from lgsf.data.writer import DatasetWriter
from lgsf.system.artefacts.inputs import Inputs
from lgsf.system.errors import LgsfError

MANY = 50  # files: beyond it, one checksum stands for all of them


def prepare(settings: FeaturesSource, *, name: str, root: Path) -> None:
    """Write the annotations and features of `settings` as the dataset `name` into `root`.

    Raises LgsfError, and leaves nothing new in `root`, for everything that is wrong with either.
    """
    inputs, annotations = Inputs(), read_annotations(settings.annotations)
    sums = {name: inputs.add(path) for name, path in named(annotations.files).items()}
    annotations = annotations.limited(train=settings.limit_train, rest=settings.limit_eval)
    splits = {split: annotations.split(split) for split in SPLIT_NAMES}
    if (n_test := len(splits["test"].images)) % settings.folds:
        raise LgsfError(
            f"{annotations.files[0]}: {n_test} test images do not divide into {settings.folds} equal folds; change "
            "folds or limit_eval."
        )
    reader = open_features(settings.features)
    source = next(iter(reader.files.values()))
    keys, rule = match(annotations.images, reader.keys, reader.aliases, source)
    sums |= _few({name: inputs.add(path) for name, path in reader.files.items()})
    join = Join(reader, keys, wants_boxes=settings.features.boxes)
    judged, judgement_files = _judgements(settings, splits["test"])
    sums |= {path.name: inputs.add(path) for path in judgement_files}
    protocol = {"folds": settings.folds}
    with DatasetWriter(root, name=name, source={}, protocol=protocol, store=settings.store) as writer:
        texts = [clean(caption.text) for caption in splits["train"].captions]
        writer.vocabulary(Vocabulary.build(texts, min_count=settings.min_count, tokenizer=settings.tokenizer))
        for split, own in splits.items():
            facts: dict[str, float] = {}  # filled while the blocks are read, before they are written down
            writer.split(
                split,
                images=own.image_table(),
                captions=own.caption_table(),
                shape=(len(own.images), join.n_regions, join.dim),
                dtype=join.dtype,
                blocks=join.blocks(own, facts),
                boxes=join.has_boxes,
                judged=judged if split == "test" else None,
                facts=facts,
            )
        inputs.check()
        writer.note(
            source={
                "kind": "features",
                "licence": settings.licence,
                "features": settings.features.name,
                "annotations": settings.annotations.format,
                "format": settings.features.format,
                "matched_by": rule,
                "left_out": dict(annotations.notes),
                "sha256": sums,
            }
        )


def open_features(settings: TsvFeatures | FolderFeatures | Hdf5Features) -> FeatureReader:
    """The reader of a format, opened; LgsfError where its files are absent, damaged or of another format."""
    match settings:
        case TsvFeatures():
            return TsvReader(settings.paths)
        case FolderFeatures():
            return FolderReader(settings)
        case Hdf5Features():
            return Hdf5Reader(settings)


def _judgements(settings: FeaturesSource, test: Annotations) -> tuple[pd.DataFrame | None, list[Path]]:
    """Judged pairs of the test split and their files, where a folder of judgements is named."""
    if not settings.judgements:
        return None, []
    judged, files = read_judgements(Path(settings.judgements), test.image_table(), test.caption_table())
    if judged is None:
        raise LgsfError(
            f"{settings.judgements} has no judgements of test images; correct the folder or set it to null."
        )
    return judged, files


def _few(sums: Mapping[str, str]) -> dict[str, str]:
    """Checksums by name; of very many files, one over the lines of `sha256sum`, in the order of their names."""
    if len(sums) <= MANY:
        return dict(sums)
    lines = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))
    return {f"{len(sums)} files of features": hashlib.sha256(lines.encode()).hexdigest()}
