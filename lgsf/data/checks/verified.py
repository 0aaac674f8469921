"""The files of a split held against the checksums in dataset.json, before anything of them is used."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from lgsf.system.artefacts.inputs import Inputs, Verified
from lgsf.system.errors import LgsfError
from lgsf.system.faults import reason

logger = logging.getLogger(__name__)
REMEDY = "prepare the dataset again"


def verify_split(
    root: Path,
    name: str,
    promised: Mapping[str, str],
    optional: tuple[str, ...],
    inputs: Inputs,
    *,
    always: bool = False,
) -> None:
    """Compare every file of the split `name` with its sha256 in `promised` and take it into `inputs`.

    Small files are read every time, large ones once (lgsf.system.artefacts.inputs.Verified), or `always`.
    Raises LgsfError for a file that is absent or has another checksum, and for one of the `optional` files that
    lies there without being promised: it belongs to another version of the data.
    """
    folder, verified = root / name, Verified(root)
    for file, digest in promised.items():
        path = folder / file
        try:
            if not verified.holds(path, digest, always=always):
                raise LgsfError(
                    f"{path} does not have the checksum that dataset.json promises: it was changed or damaged since, "
                    f"or the dataset is just being prepared; {REMEDY}."
                )
        except FileNotFoundError:
            raise LgsfError(f"{path} is missing: {REMEDY}.") from None
        except OSError as error:
            raise LgsfError(f"{path} cannot be read ({reason(error)}): {REMEDY}.") from None
        inputs.add(path, digest)
    for file in optional:
        if file not in promised and (folder / file).exists():
            raise LgsfError(
                f"{folder / file} is not named by dataset.json, so it belongs to other data: remove it, or {REMEDY}."
            )
