"""A checkpoint that the configuration imports, as a run with ranks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lgsf.config.elsewhere.imports import ImportedCheckpoint
from lgsf.evaluation.evaluate import evaluate
from lgsf.importing.checkpoint import import_checkpoint
from lgsf.importing.room import make_room, parsed_import
from lgsf.system.errors import LgsfError


def import_weights(
    settings: Mapping[str, Any],
    *,
    name: str,
    seed: int,
    dataset: Path,
    out: Path,
    device: str,
    threads: int,
    memory_mb: int,
) -> None:
    """Import the checkpoint that `settings`, an entry of `imports` with the file of one seed, names; rank dev and test.

    Raises LgsfError as `import_checkpoint` does.
    """
    wanted = parsed_import(settings, name)
    if not isinstance(wanted, ImportedCheckpoint):
        raise LgsfError(f"imports.{name}: kind {wanted.kind} names no checkpoint: take the verb for that kind.")
    make_room(out, name)
    import_checkpoint(
        method=wanted.method,
        checkpoint=Path(wanted.checkpoint[0]),
        dataset=dataset,
        out=out,
        vocab=None if wanted.vocab is None else Path(wanted.vocab),
        bert=wanted.bert,
        seed=seed,
        device=device,
        threads=threads,
    )
    evaluate(run=out, dataset=dataset, memory_mb=memory_mb)
