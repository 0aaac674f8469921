"""Packs in the layout of the field (SCAN, Lee et al. 2018) to the dataset layout, in bounded memory."""

from __future__ import annotations

from pathlib import Path

from lgsf.data.layout import SPLITS
from lgsf.data.precomp.judgements import read_judgements
from lgsf.data.precomp.pack import REMEDY, Pack, open_pack
from lgsf.data.precomp.settings import PrecompSource
from lgsf.data.text import Vocabulary
from lgsf.data.writer import DatasetWriter
from lgsf.system.artefacts.inputs import Inputs
from lgsf.system.errors import LgsfError


def prepare(settings: PrecompSource, *, name: str, root: Path) -> None:
    """Write the pack of `settings` as the dataset `name` into `root`.

    Raises LgsfError, and leaves nothing new in `root`, for everything that is wrong with the pack.
    """
    packs = _open_splits(settings)
    test, inputs = packs["test"], Inputs()
    sums = {file.name: inputs.add(file) for pack in packs.values() for file in pack.files}
    judged, judgement_files = read_judgements(Path(settings.path), test.image_table(), test.caption_table())
    protocol = {"folds": settings.folds}
    with DatasetWriter(root, name=name, source={}, protocol=protocol, store=settings.store) as writer:
        writer.vocabulary(Vocabulary.build(packs["train"].captions, min_count=settings.min_count))
        for split, pack in packs.items():
            writer.split(
                split,
                images=pack.image_table(),
                captions=pack.caption_table(),
                shape=(pack.n_images, *pack.region_shape),
                dtype=pack.regions.dtype.newbyteorder("="),
                blocks=pack.blocks(),
                boxes=pack.boxes is not None,
                judged=judged if split == "test" else None,
            )
        sums |= {file.name: inputs.add(file) for file in judgement_files}
        inputs.check()
        writer.note(
            source={
                "kind": "precomp",
                "licence": settings.licence,
                "features": settings.features,
                "layout": {split: pack.layout for split, pack in packs.items()},
                "sha256": sums,
            }
        )


def _open_splits(settings: PrecompSource) -> dict[str, Pack]:
    folder = Path(settings.path)
    if not folder.is_dir():
        raise LgsfError(f"{folder}: there is no such folder; set the path of the pack in the configuration.")
    prefixes = {split: str(getattr(settings, split)) for split in SPLITS}
    if len(set(prefixes.values())) < len(prefixes):
        raise LgsfError(
            f"{folder}: two of train, dev and test name the same files ({', '.join(prefixes.values())}); "
            "give each split its own, or the test images decide about training."
        )
    packs = {}
    for split, prefix in prefixes.items():
        limit = settings.limit_train if split == "train" else settings.limit_eval
        packs[split] = open_pack(folder, prefix, settings.captions_per_image, limit)
    test = packs["test"]
    if test.n_images % settings.folds:
        raise LgsfError(
            f"{test.regions.path}: {test.n_images} test images do not divide into {settings.folds} equal "
            "folds; change folds or limit_eval."
        )
    shapes = {split: pack.region_shape[1] for split, pack in packs.items()}
    if len(set(shapes.values())) > 1:
        raise LgsfError(f"{folder}: the splits have features of different sizes ({shapes}); {REMEDY}.")
    if len({pack.boxes is None for pack in packs.values()}) > 1:
        raise LgsfError(f"{folder}: some splits have _boxes.npy and some do not; give boxes to all or to none.")
    return packs
