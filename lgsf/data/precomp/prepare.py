"""Packs in the layout of the field (SCAN, Lee et al. 2018) to the dataset layout, in bounded memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lgsf.data.annotations.lines import read_lines
from lgsf.data.checks.characters import clean
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
        train = [clean(text) for text in packs["train"].captions]
        writer.vocabulary(Vocabulary.build(train, min_count=settings.min_count, tokenizer=settings.tokenizer))
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
                "ids": {split: _form_of_ids(pack) for split, pack in packs.items()},
                **({"boxes_dtype": test.boxes.dtype.name} if test.boxes is not None else {}),
                "sha256": sums,
            }
        )


def _form_of_ids(pack: Pack) -> str:
    """Whether a pack has ids "once" per image, "repeated" per caption, or "none": to write it again as it was."""
    path = next((file for file in pack.files if file.name.endswith("_ids.txt")), None)
    if path is None:
        return "none"
    lines = read_lines(path, "image id")
    return "once" if len(set(lines)) == len(lines) else "repeated"


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
    _refuse_links(packs)
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


def _refuse_links(packs: Mapping[str, Pack]) -> None:
    """LgsfError where features or captions of two splits are one file under two names; copies show in what they hold."""
    seen: dict[tuple[int, int], Path] = {}
    for pack in packs.values():
        for file in pack.files[:2]:
            status = file.stat()
            if (other := seen.setdefault((status.st_dev, status.st_ino), file)) != file:
                raise LgsfError(f"{file} and {other} are one and the same file (a link): give each split its own.")
