"""Between the dataset layout and packs in the layout of the field (SCAN), in whichever direction the source asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from lgsf.data.precomp.export import STORE, PackForm, new_folder, write_pack
from lgsf.data.precomp.prepare import prepare
from lgsf.data.precomp.restore import restore_dataset
from lgsf.data.precomp.settings import PrecompSource
from lgsf.system.errors import LgsfError
from lgsf.system.settings import explain

Form = TypeVar("Form", PackForm, PrecompSource)


def convert(source: Path, out: Path, settings: Mapping[str, Any]) -> str:
    """Convert the folder `source` into the new folder `out`, and say in a sentence what became of it.

    A dataset (a folder with dataset.json) becomes a pack; `settings` are those of `PackForm`. A pack becomes a
    dataset: the very one that it was written from where its folder store/ tells, and else as by `lgsf prepare`,
    with the settings of a dataset of source `precomp`, and a name.

    Raises LgsfError for whatever is wrong; `source` is never touched and nothing is left in `out`.
    """
    if not source.is_dir():
        raise LgsfError(f"{source}: there is no such folder; give a dataset or a pack as --source.")
    if (source / "dataset.json").is_file():
        return write_pack(source, out, _parse(PackForm, settings))
    if (source / STORE).is_dir():
        return restore_dataset(source, out, _parse(PackForm, settings))
    own = {key: value for key, value in settings.items() if key != "name"}
    form = _parse(PrecompSource, {"source": "precomp", "path": str(source), **own})
    with new_folder(out) as partial:
        prepare(form, name=str(settings.get("name", source.name)), root=partial)
    return f"{out}: a dataset made from the pack {source}."


def _parse(model: type[Form], settings: Mapping[str, Any]) -> Form:
    try:
        return model.model_validate(dict(settings))
    except ValidationError as error:
        raise LgsfError(f"--settings: {explain(error)}") from None
