"""A finished run that lies elsewhere, brought to where tables look: what it is made of is checked, nothing is changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lgsf.config.checks.replaced import COPIED
from lgsf.config.elsewhere.imports import ImportedRun
from lgsf.data.layout import open_dataset
from lgsf.importing.room import make_room, parsed_import, refuse_others
from lgsf.importing.unfinished import importing
from lgsf.runs.facts import read_facts
from lgsf.runs.names import APART, SPLIT
from lgsf.runs.origin import EVALUATED, check_file, read_evaluated
from lgsf.runs.ranks import read_ranks
from lgsf.runs.record import FILE
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_bytes, write_bytes, write_json

NOT_TAKEN = ("model.safetensors", "training_only.safetensors")  # tables and report need no weights


def import_run(settings: Mapping[str, Any], *, name: str, seed: int, dataset: Path, out: Path) -> None:
    """Copy the run that `settings`, an entry of `imports` with the folder of one seed, names to `out`.

    Everything but weights is taken. Raises LgsfError, and writes nothing, where the run is of another method, seed or
    version of the dataset, has no ranks of the test split, or a file of it is not the one that its record names.
    """
    wanted = parsed_import(settings, name)
    if not isinstance(wanted, ImportedRun):
        raise LgsfError(f"imports.{name}: kind {wanted.kind} names no run: take the verb for that kind.")
    source, data = Path(wanted.path[0]), open_dataset(dataset)
    facts = read_facts(source)
    where = source / FILE
    refuse_others(out, name)
    if facts.kind in APART:
        raise LgsfError(f"{where} is of kind {facts.kind!r}, which competes with nobody: import the run of a model.")
    for key, want, have in (
        ("method", name, facts.method),
        ("seed", seed, facts.seed),
        ("dataset", data.name, facts.dataset),
    ):
        if want != have:
            raise LgsfError(f"{where}: {key} is {have!r}, and imports.{name} takes it for {want!r}; name it as it is.")
    if facts.dataset_sha256 != data.sha256:
        raise LgsfError(f"{where} was made from another version of the dataset than {dataset}: make the run again.")
    ranks = [split for split in (SPLIT, "dev") if (source / split / "ranks.npz").is_file()]
    if SPLIT not in ranks:
        raise LgsfError(f"{source / SPLIT / 'ranks.npz'} is missing: evaluate the run first.")
    for split in ranks:
        read_ranks(source, split)
    kept = [file for file in facts.files if file not in NOT_TAKEN]
    for file in kept:
        check_file(source, facts, file)
    evaluated = [f"{split}/{file}" for split in ranks for file in (*EVALUATED, "gallery.npz")]
    evaluated = [file for file in evaluated if (source / file).is_file()]
    for file in evaluated:
        if not file.endswith("/ranks.npz"):  # read above
            read_evaluated(source / Path(file).parent, Path(file).name)  # whole, and of this run
    files = dict.fromkeys([*kept, *evaluated])
    with importing(out, verb="import-model", name=name):
        make_room(out, name)
        write_json(out / COPIED, {"from": str(source)})
        for file in [*files, FILE]:  # the record comes last
            write_bytes(out / file, read_bytes(source / file, hint="make the run again"))
