"""A dataset as a pack in the layout of the field (SCAN), so that others' code runs on it.

{split}_ims.npy    (n_images, n_regions, dim); each image once, or repeated for each of its captions
{split}_caps.txt   the same number of captions for every image, one after the other, a line each
{split}_ids.txt    one image id per line
{split}_boxes.npy  where the dataset has boxes
store/             what this layout cannot say (tables, region counts, judgements, vocabulary, manifest): with it the
                   pack becomes the very same dataset again; others' code never looks there
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from lgsf.data.layout import SPLITS, Dataset, Split, open_dataset
from lgsf.system.artefacts.atomic import alive
from lgsf.system.errors import LgsfError
from lgsf.system.faults import reason
from lgsf.system.settings import Settings

BLOCK_BYTES = 32 << 20  # of features that are held at once
STORE = "store"
REBUILT = ("regions.npy", "boxes.npy")  # what the pack itself holds of a split's files
Rows = Literal["once", "repeated"]


class PackForm(Settings):
    """How a pack is written; what is not said is as in the pack that the dataset was made from, if it was."""

    rows: Rows | None = Field(None, description="an image once, or repeated for each of its captions")
    captions_per_image: int | None = Field(None, ge=1, description="captions kept of an image, where numbers differ")
    train: str = Field("train", min_length=1, pattern=r"^[\w.-]+$", description="prefix of the training files")
    dev: str = Field("dev", min_length=1, pattern=r"^[\w.-]+$", description="prefix of the development files")
    test: str = Field("test", min_length=1, pattern=r"^[\w.-]+$", description="prefix of the test files")


def write_pack(root: Path, out: Path, form: PackForm) -> str:
    """Write the dataset in `root` as a pack into the new folder `out`; a sentence about what was written.

    Raises LgsfError where `out` holds anything, or where images have different numbers of captions: the layout
    cannot hold that. A failure leaves nothing.
    """
    dataset = open_dataset(root)
    splits = {name: dataset.split(name) for name in SPLITS}
    per_image = {name: _captions_per_image(dataset, split, form) for name, split in splits.items()}
    if len(set(per_image.values())) > 1:
        raise LgsfError(
            f"{root}: the splits have {per_image} captions per image, and a pack has one number for all; set "
            "captions_per_image to the smallest."
        )
    kept = next(iter(per_image.values()))
    whole = all(len(split.captions) == kept * len(split.images) for split in splits.values())
    with new_folder(out) as partial:
        for name, split in splits.items():
            _write_split(partial, str(getattr(form, name)), split, kept, _pack_facts(dataset, name, form))
        packed = any(dataset.manifest["splits"][name]["dtype"] != str(s.regions.dtype) for name, s in splits.items())
        if whole and not packed:
            _keep_the_rest(root, partial / STORE, dataset)
        dataset.inputs.check()
    rest = f"{STORE}/ beside it holds what the layout cannot say, and makes it the same dataset again"
    if not whole:
        rest = "further captions were left out, so it becomes another dataset when it is read again"
    elif packed:
        rest = "its numbers are written as floating point, so it becomes another dataset when it is read again"
    return f"{out}: a pack of {sum(len(s.images) for s in splits.values())} images with {kept} captions each; {rest}."


def _captions_per_image(dataset: Dataset, split: Split, form: PackForm) -> int:
    """How many captions each image of a split gets."""
    counts = np.bincount(split.caption_image, minlength=len(split.images))
    if form.captions_per_image is not None:
        if (few := np.flatnonzero(counts < form.captions_per_image)).size:
            raise LgsfError(
                f"{dataset.root / split.name}: image {split.images['image_id'].iloc[int(few[0])]!r} has {counts[few[0]]} "
                f"captions and captions_per_image is {form.captions_per_image}; lower it to {counts.min()}."
            )
        return form.captions_per_image
    if (other := np.flatnonzero(counts != counts[0])).size:
        raise LgsfError(
            f"{dataset.root / split.name}: images have {counts.min()} to {counts.max()} captions (image "
            f"{split.images['image_id'].iloc[int(other[0])]!r} has {counts[other[0]]}), and a pack has the same number for "
            f"all; set captions_per_image to {counts.min()} to keep the first of each."
        )
    return int(counts[0])


def _pack_facts(dataset: Dataset, split: str, form: PackForm) -> dict[str, Any]:
    """rows, ids and dtype of boxes: as asked for, as in the pack that the dataset comes from, or the usual."""
    source = dataset.manifest["source"]
    stored = source if source.get("kind") == "precomp" else {}
    return {
        "rows": form.rows or stored.get("layout", {}).get(split, "once"),
        "ids": stored.get("ids", {}).get(split, "once"),
        "boxes_dtype": stored.get("boxes_dtype", "float32"),
    }


def _write_split(folder: Path, prefix: str, split: Split, kept: int, facts: dict[str, Any]) -> None:
    copies = kept if facts["rows"] == "repeated" else 1
    _write_rows(folder / f"{prefix}_ims.npy", split.regions, split.regions.dtype, copies)
    if split.boxes is not None:
        _write_rows(folder / f"{prefix}_boxes.npy", split.boxes, np.dtype(facts["boxes_dtype"]), copies)
    captions = split.captions.sort_values("image", kind="stable").groupby("image", sort=False).head(kept)
    _write_lines(folder / f"{prefix}_caps.txt", captions["text"].tolist())
    if facts["ids"] != "none":
        ids = np.repeat(split.images["image_id"].to_numpy(object), kept if facts["ids"] == "repeated" else 1)
        _write_lines(folder / f"{prefix}_ids.txt", ids.tolist())


def _write_rows(path: Path, rows: Any, dtype: np.dtype[Any], copies: int) -> None:
    """A .npy file of all rows, each `copies` times, block by block."""
    header = {"descr": dtype.str, "fortran_order": False, "shape": (len(rows) * copies, *rows.shape[1:])}
    size = max(1, BLOCK_BYTES // (4 * copies * int(np.prod(rows.shape[1:]))))
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(rows), size):
            block: npt.NDArray[Any] = rows.read(np.arange(start, min(start + size, len(rows)))).astype(
                dtype, copy=False
            )
            file.write(np.ascontiguousarray(block.repeat(copies, axis=0)).data)


def _write_lines(path: Path, lines: list[str]) -> None:
    for number, line in enumerate(lines, start=1):
        if line != " ".join(line.split("\n")).strip() or not line:
            raise LgsfError(
                f"{path.name}, line {number}: {line[:40]!r} does not fit on a line; prepare the dataset again."
            )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def _keep_the_rest(root: Path, folder: Path, dataset: Dataset) -> None:
    dataset.vocabulary()  # its words are those that the manifest names
    for name in SPLITS:
        (folder / name).mkdir(parents=True)
        for file in dataset.manifest["splits"][name]["sha256"]:
            if file not in REBUILT:
                shutil.copyfile(root / name / file, folder / name / file)
    for file in ("vocabulary.json", "dataset.json"):
        shutil.copyfile(root / file, folder / file)


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `out` in one step when all is well and vanishes otherwise.

    Raises LgsfError where `out` is a file or a folder that holds anything, or cannot be written.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise LgsfError(f"{out} exists and is not an empty folder; choose another --out, or empty it.")
    partial = out.with_name(f".{out.name}.partial-{os.getpid()}")
    try:
        for left in out.parent.glob(f".{out.name}.partial-*"):
            process = left.name.rpartition("-")[2]
            if process.isdecimal() and not alive(int(process)):  # a killed conversion could not clear up
                shutil.rmtree(left)
        partial.mkdir(parents=True)
        yield partial
        partial.replace(out)
    except OSError as error:
        raise LgsfError(
            f"{out} could not be written ({reason(error)}): free space or mend the permissions, and convert again."
        ) from error
    finally:
        if partial.is_dir():
            shutil.rmtree(partial)
