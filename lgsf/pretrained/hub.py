"""The folder of a model in the format of Hugging Face: as named, in an installed package, or fetched from the hub."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lgsf.pretrained.files import PACKAGE, locate
from lgsf.system.errors import LgsfError

HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


def model_folder(name: str, *, key: str, kind: str, extra: str, patterns: Sequence[str]) -> Path:
    """The folder that `name` means.

    The hub is asked only for what is no folder, and only for files that fit `patterns`; with HF_HUB_OFFLINE=1 only
    its local store is looked at.

    key, kind, extra  for the sentence where it fails: the key of the configuration that holds the name, what its
                      folder must be, and the extra of this package that brings the hub's client
    """
    folder = locate(name)
    if folder.is_dir():
        return folder
    wrong = f"{key} {name!r} is no folder"
    if name.startswith(PACKAGE) or not HUB_NAME.fullmatch(name):
        raise LgsfError(f"{wrong}: give the folder of {kind}.")
    try:
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(name, allow_patterns=list(patterns)))
    except ImportError as error:
        raise LgsfError(
            f"{wrong}, and huggingface_hub cannot be imported ({error}): install the extra `{extra}`, "
            f"pip install 'lgsf-benchmark[{extra}]', or give a folder."
        ) from None
    except Exception as error:  # the hub's client has a dozen kinds
        reason = " ".join(str(error).split())[:200]
        raise LgsfError(
            f"{wrong}, and the Hugging Face hub did not give it ({reason}): download the model and name its folder."
        ) from None
