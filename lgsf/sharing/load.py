"""A published run, fetched from the Hugging Face hub and checked before anything is made of it.

A stranger's repository is data: weights are safetensors, everything else JSON or plain arrays, and the class of the
model must be one of this project, or one that the user has imported. Nothing that came with it is executed.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from lgsf.runs.origin import check_file
from lgsf.runs.record import FILE, read_record
from lgsf.sharing.files import MANIFEST, NEEDED, PUBLISHED
from lgsf.system.errors import LgsfError
from lgsf.system.hashes import sha256

HUB = "hub:"
_NAME = re.compile(r"hub:(?P<repo>\w[\w.-]*/\w[\w.-]*)(@(?P<revision>\w[\w./-]*))?")
OWN = ("lgsf", "baselines")


def downloaded(name: str) -> Path:
    """The folder of the run that `hub:owner/name` or `hub:owner/name@revision` means, in the hub's local store.

    With HF_HUB_OFFLINE=1 only that store is looked at. Raises LgsfError where the hub's client is absent or does not
    give the run, and as `check_published`.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise LgsfError(f"{name!r} names no run on the hub: write hub:owner/name, or hub:owner/name@revision.")
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise LgsfError(missing_client(error)) from None
    try:
        folder = Path(snapshot_download(found["repo"], revision=found["revision"], allow_patterns=list(PUBLISHED)))
    except Exception as error:  # the hub's client has a dozen kinds
        reason = " ".join(str(error).split())[:200]
        raise LgsfError(
            f"the Hugging Face hub did not give {found['repo']} ({reason}): check the name, or log in with `hf auth login`."
        ) from None
    check_published(folder, source=name)
    return folder


def check_published(folder: Path, *, source: str) -> None:
    """LgsfError unless `folder` is a whole run whose files and data are those that its record names.

    Weights are checked once more where they are read.
    """
    for name in NEEDED:
        if not (folder / name).is_file():
            raise LgsfError(f"{source} has no {name}: it is no run that `lgsf push-to-hub` published.")
    record = read_record(folder)
    module = str(record.config.get("model", "")).partition(":")[0]
    if module.partition(".")[0] not in OWN and module not in sys.modules:
        raise LgsfError(
            f"{source}: its model is of the module {module!r}, which is no part of this project: import that module "
            "first, if you trust its code."
        )
    for name in PUBLISHED:
        if name in record.files and (folder / name).is_file():
            check_file(folder, record, name)
    if sha256(folder / MANIFEST) != record.dataset_sha256:
        raise LgsfError(f"{source}: its {MANIFEST} is not that of the data that {FILE} names; ask who published it.")


def missing_client(error: ImportError) -> str:
    """The sentence for a missing client of the hub."""
    return f"huggingface_hub cannot be imported ({error}): install the extra `hub`, pip install 'lgsf-benchmark[hub]'."
