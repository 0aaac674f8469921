"""How large the data of an experiment are: as they were prepared, as their pack says, or as they were published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lgsf.data.layout import SPLITS, open_dataset
from lgsf.data.precomp.settings import PrecompSource
from lgsf.data.source import Source
from lgsf.data.store.rows import RowReader
from lgsf.system.errors import LgsfError

WIDTHS = {"float32": 4, "float16": 2, "int8": 1}
VOCABULARY = 10_000  # words, where nobody has counted them; COCO has 11,353 and Flickr30K 8,481
# Images of train, dev and test, by the beginning of a dataset's name. Karpathy's splits, with five captions an image;
# bottom-up attention gives 36 regions of 2,048 numbers. COCO's restval trains, as everywhere in this field.
PUBLISHED = {
    "coco": (113_287, 5_000, 5_000),
    "flickr30k": (29_000, 1_014, 1_000),
    "f30k": (29_000, 1_014, 1_000),
    "flickr8k": (6_000, 1_000, 1_000),
    "f8k": (6_000, 1_000, 1_000),
}


@dataclass(frozen=True)
class DataSize:
    """Of each split (images, captions); of an image its regions and their numbers; bytes of all features on disk.

    known_from  what says so, in words
    """

    images: Mapping[str, int]
    captions: Mapping[str, int]
    n_regions: int
    region_dim: int
    has_boxes: bool
    vocabulary: int
    number_bytes: int
    known_from: str

    @property
    def disk(self) -> int:
        """Bytes of the prepared features, to which texts and tables add little."""
        region = self.region_dim * self.number_bytes + 16 * self.has_boxes + 4 * (self.number_bytes == 1)
        return sum(self.images.values()) * self.n_regions * region


def data_size(name: str, source: Source | None, resources: Path) -> DataSize:
    """The size of the dataset `name`; LgsfError where nothing says it.

    source  its settings, where the configuration is at hand;  resources  the folder of prepared datasets
    """
    if (resources / name / "dataset.json").is_file():
        return _prepared(open_dataset(resources / name).manifest, resources / name)
    if (
        source is not None
        and isinstance(source, PrecompSource)
        and Path(source.path, f"{source.train}_ims.npy").is_file()
    ):
        return _pack(source)
    for beginning, images in PUBLISHED.items():
        if name.startswith(beginning):
            counts = dict(zip(SPLITS, images, strict=True))
            captions = {split: 5 * n for split, n in counts.items()}
            width = WIDTHS.get("float32" if source is None or source.store == "as_is" else source.store, 4)
            return DataSize(counts, captions, 36, 2048, False, VOCABULARY, width, f"published size of {beginning}")
    raise LgsfError(
        f"nothing says how large the dataset {name!r} is: {resources / name} has not been prepared, and its name is not "
        f"that of published data ({', '.join(PUBLISHED)}); prepare it first."
    )


def _prepared(manifest: Mapping[str, Any], root: Path) -> DataSize:
    splits = manifest["splits"]
    train = splits["train"]
    return DataSize(
        images={split: splits[split]["images"] for split in SPLITS},
        captions={split: splits[split]["captions"] for split in SPLITS},
        n_regions=train["n_regions"],
        region_dim=train["region_dim"],
        has_boxes="boxes.npy" in train["sha256"],
        vocabulary=manifest["vocabulary"]["size"],
        number_bytes=WIDTHS.get(str(train.get("dtype")), 4),
        known_from=str(root),
    )


def _pack(source: PrecompSource) -> DataSize:
    """From the headers of a pack; its images may stand once each or once for each caption."""
    images, captions = {}, {}
    shape: tuple[int, ...] = ()
    width = 4
    for split, prefix in zip(SPLITS, (source.train, source.dev, source.test), strict=True):
        array = RowReader(Path(source.path, f"{prefix}_ims.npy"), remedy="give the folder of a whole pack")
        try:
            with Path(source.path, f"{prefix}_caps.txt").open("rb") as lines:
                count = sum(1 for _ in lines)
        except OSError:
            raise LgsfError(f"{source.path}/{prefix}_caps.txt is missing: give the folder of a whole pack.") from None
        limit = source.limit_train if split == "train" else source.limit_eval
        images[split] = min(count // source.captions_per_image, limit or count)
        captions[split] = images[split] * source.captions_per_image
        if split == "train":
            shape = array.shape if len(array.shape) == 3 else (array.shape[0], 1, array.shape[-1])
            width = WIDTHS.get(str(array.dtype) if source.store == "as_is" else source.store, 4)
    boxes = Path(source.path, f"{source.train}_boxes.npy").is_file()
    return DataSize(images, captions, shape[1], shape[2], boxes, VOCABULARY, width, str(source.path))
