"""A pack that a dataset was written as, back into the very same dataset: every file is held against its checksum."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lgsf.data.annotations.lines import read_lines
from lgsf.data.layout import SPLITS, Dataset, RowReader, open_dataset
from lgsf.data.precomp.export import BLOCK_BYTES, REBUILT, STORE, PackForm, new_folder
from lgsf.system.errors import LgsfError
from lgsf.system.hashes import sha256

REMEDY = f"copy the pack again, or remove its folder {STORE}/ to read it as a pack of its own"


def restore_dataset(pack: Path, out: Path, form: PackForm) -> str:
    """Write the dataset that `pack` was made from into the new folder `out`; a sentence about what was written.

    Raises LgsfError where a file of the pack no longer holds what the dataset had; nothing is left then.
    """
    stored = open_dataset(pack / STORE)
    stored.vocabulary()  # the one file that is copied without a checksum of the manifest
    with new_folder(out) as partial:
        for name in SPLITS:
            (partial / name).mkdir()
            _restore_split(pack, str(getattr(form, name)), stored, name, partial / name)
        for file in ("vocabulary.json", "dataset.json"):
            shutil.copyfile(pack / STORE / file, partial / file)
    return f"{out}: the dataset {stored.name!r} again, every file as its manifest promises."


def _restore_split(pack: Path, prefix: str, stored: Dataset, name: str, target: Path) -> None:
    facts = stored.manifest["splits"][name]
    for file, digest in facts["sha256"].items():
        if file in REBUILT:
            kind = "ims" if file == "regions.npy" else "boxes"
            origin = pack / f"{prefix}_{kind}.npy"
            dtype = np.dtype(np.float32) if kind == "boxes" else np.dtype(facts["dtype"])
            _unrepeat(origin, target / file, dtype, facts["images"])
        else:
            origin = stored.root / name / file
            if not origin.is_file():
                raise LgsfError(f"{origin} is missing: {REMEDY}.")
            shutil.copyfile(origin, target / file)
        if sha256(target / file) != digest:
            raise LgsfError(f"{origin} was changed since the pack was written (its checksum differs): {REMEDY}.")
    _check_lines(pack, prefix, target)


def _unrepeat(origin: Path, target: Path, dtype: np.dtype[Any], n_images: int) -> None:
    """One of each image's equal rows, block by block."""
    rows = RowReader(origin, remedy=REMEDY)
    copies, rest = divmod(len(rows), n_images)
    if rest or not copies:
        raise LgsfError(f"{origin} has {len(rows)} rows for {n_images} images: {REMEDY}.")
    header = {"descr": dtype.str, "fortran_order": False, "shape": (n_images, *rows.shape[1:])}
    size = max(1, BLOCK_BYTES // (4 * copies * int(np.prod(rows.shape[1:]))))
    with target.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, n_images, size):
            stop = min(start + size, n_images)
            stored = rows.read(np.arange(start * copies, stop * copies)).reshape(stop - start, copies, *rows.shape[1:])
            if (stored != stored[:, :1]).any():
                raise LgsfError(f"{origin} was changed since the pack was written (rows of an image differ): {REMEDY}.")
            block = stored[:, 0]
            file.write(np.ascontiguousarray(block.astype(dtype, copy=False)).data)


def _check_lines(pack: Path, prefix: str, target: Path) -> None:
    """The captions of the pack are those of the table: whoever edited them means another dataset."""
    path = pack / f"{prefix}_caps.txt"
    table = pd.read_parquet(target / "captions.parquet").sort_values("image", kind="stable")
    if read_lines(path, "caption") != table["text"].tolist():
        raise LgsfError(f"{path} holds other captions than when the pack was written: {REMEDY}.")
