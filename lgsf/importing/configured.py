"""A model that the configuration imports by its scores or vectors, as a run: all its splits at once."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lgsf.config.checks.replaced import IMPORT
from lgsf.config.elsewhere.imports import ImportedEmbeddings, ImportedScores
from lgsf.data.layout import open_dataset
from lgsf.evaluation.protocol import Ranked, write_split
from lgsf.importing.ranked import Given, rank_files
from lgsf.importing.room import make_room, parsed_import, refuse_others
from lgsf.importing.unfinished import importing
from lgsf.metrics.recall import metrics
from lgsf.runs.origin import evaluated_files
from lgsf.runs.provenance import now, provenance
from lgsf.runs.record import RunRecord, write_record
from lgsf.system.errors import LgsfError
from lgsf.system.given import check_seed, seed_of_folder
from lgsf.system.logs import PROGRESS

logger = logging.getLogger(__name__)


def import_configured(settings: Mapping[str, Any], *, name: str, seed: int, dataset: Path, out: Path) -> None:
    """Rank every split that `settings`, an entry of `imports` with the files of one seed, has, and write run `out`.

    What the same import left before is replaced. Raises LgsfError, and writes nothing, where files do not fit the
    dataset or hold something that is not finite, and where the folder holds any other run.
    """
    wanted = parsed_import(settings, name)
    if not isinstance(wanted, ImportedScores | ImportedEmbeddings):
        raise LgsfError(f"imports.{name}: kind {wanted.kind} has no scores of its own: take the verb for that kind.")
    seed_of_folder(out, check_seed(seed))
    refuse_others(out, name)
    data = open_dataset(dataset)
    facts, started = provenance(data, device=None), now()
    ranked: dict[str, Ranked] = {}
    imported: dict[str, dict[str, dict[str, str]]] = {}
    for split in wanted.splits:
        ranked[split], imported[split] = rank_files(data, split, _given(wanted, split))
    dev = ranked["dev"].ranking if "dev" in ranked else None
    if dev is None:
        logger.log(PROGRESS, "%s: test scores alone were given, so no dev rSum stands in the tables for it", name)
    with importing(out, verb="import-model", name=name):
        make_room(out, name)
        for split, found in ranked.items():
            made_from = {what: file["sha256"] for what, file in imported[split].items()}
            write_split(out / split, found, made_from=made_from)
        record = RunRecord(
            **facts,
            kind="imported",
            dataset=data.name,
            method=name,
            title=name,
            seed=seed,
            text_encoder=wanted.text_encoder,
            features=wanted.features,
            ensemble=wanted.ensemble,
            config={"imported": imported, IMPORT: wanted.model_dump(mode="json")},
            files=evaluated_files(out, wanted.splits),
            dev=None if dev is None else metrics(dev.i2t, dev.t2i),
            started=started,
            ended=now(),
            ending="finished",
        )
        write_record(out, record)


def _given(wanted: ImportedScores | ImportedEmbeddings, split: str) -> Given:
    ids = getattr(wanted.ids, split)
    shared = None if ids is None else Path(ids)
    (own,) = wanted.lists()[split]
    if isinstance(wanted, ImportedScores):
        return Given(scores=Path(own), ids=shared)
    return Given(images=Path(own.images), captions=Path(own.captions), ids=shared, similarity=wanted.similarity)
