"""The pictures of a split: beside the dataset where they were drawn, or in the user's folder of photos."""

from __future__ import annotations

from pathlib import Path

from lgsf.data.layout import Dataset, Split
from lgsf.system.errors import LgsfError

SUFFIXES = (".jpg", ".jpeg", ".png")


def find_pictures(data: Dataset, split: Split, photos: Path | None) -> dict[int, Path]:
    """Row of an image -> its picture, for all that are there.

    Drawn pictures lie in the dataset. Photos lie in the folder `photos` of the user, under the file name or the id
    of the image, or under COCO's names, which end in the id with leading zeros.

    Raises LgsfError where `photos` is no folder.
    """
    if data.manifest["source"].get("kind") == "scenes":
        files = {row: data.root / name for row, name in enumerate(split.images["file_name"])}
        home = data.root.resolve()
        for file in files.values():
            if not file.resolve().is_relative_to(home):  # a link; names were checked when the split was opened
                raise LgsfError(f"{file} is a link out of its dataset: prepare the dataset again.")
        return {row: file for row, file in files.items() if file.is_file()}
    if photos is None:
        return {}
    if not photos.is_dir():
        raise LgsfError(
            f"{photos}: there is no such folder; set datasets.{data.name}.images to the folder of the "
            "photos, or remove the key."
        )
    present = {file.name: file for file in sorted(photos.iterdir()) if file.suffix.lower() in SUFFIXES}
    by_stem = {file.stem: file for file in present.values()}
    by_stem |= {file.stem.rpartition("_")[2]: file for file in present.values() if file.stem.startswith("COCO_")}
    found = {}
    for row, (id_, name) in enumerate(zip(split.images["image_id"], split.images["file_name"], strict=True)):
        if name and ".." not in Path(name).parts and (own := photos / name.lstrip("/")).is_file():
            found[row] = own  # also in a folder below, never outside
            continue
        padded = id_.zfill(12) if id_.isdecimal() else id_
        file = present.get(Path(name).name) or present.get(id_) or by_stem.get(id_) or by_stem.get(padded)
        if file is not None:
            found[row] = file
    return found
