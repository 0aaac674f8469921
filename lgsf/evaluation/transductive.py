"""The transductive diagnostic: what batch-dependent evaluation of LGSF's interaction would do to its numbers.

The interaction serves training alone. Were it a part of the embedding, a score would depend on which other test
queries share a batch; the order of the test file, in which captions of one image stand side by side, would then
enter the result. This measures by how much. Its ranks are stamped and never stand in a comparison.

A batch holds captions with their images, as in training and in the evaluation code of the field, which repeats an
image for each of its captions. An image is read where its first caption in file order stands.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lgsf.config.names import EVAL_INTERACTION
from lgsf.evaluation.protocol import rank_and_write
from lgsf.metrics.recall import metrics
from lgsf.models.base import Encoded
from lgsf.models.lgsf import LGSF
from lgsf.models.scoring import TiledScores
from lgsf.runs.opened import open_run
from lgsf.runs.provenance import now
from lgsf.runs.record import RunRecord
from lgsf.system.errors import LgsfError
from lgsf.system.files import write_json
from lgsf.system.hashes import sha256

logger = logging.getLogger(__name__)
Rows = npt.NDArray[np.int64]
SPLIT = "test"


def diagnose(*, run: Path, dataset: Path, out: Path, batch_size: int | None, memory_mb: int) -> None:
    """Rank the test split with the interaction off, and on in three orders; write ranks and diagnosis.json into `out`.

    batch_size  pairs that hear each other; None takes the training batch. Captions are shuffled by the run's seed.

    Raises LgsfError for a run that has no interaction.
    """
    run_sha256 = sha256(run / "run.json") if (run / "run.json").is_file() else ""  # else the next line says so
    opened = open_run(run, dataset, training_only=True)
    method = opened.method
    if not isinstance(method, LGSF) or method.interaction is None:
        raise LgsfError(f"{run} has no interaction between samples: there is nothing to diagnose; name a run of LGSF.")
    size = batch_size or opened.settings.training.batch_size
    seed, folds = opened.record.seed, int(opened.data.manifest["protocol"]["folds"])
    started, split = now(), opened.data.split(SPLIT)
    images, texts = opened.encode(split)
    assert images.vector is not None and texts.vector is not None
    results: dict[str, Any] = {}
    for mode in EVAL_INTERACTION:
        v, u = images.vector, texts.vector
        if mode != "off":
            order = batches(mode, split.caption_image, size=size, seed=seed)
            v, u = enhance(method.interaction, v, u, split.caption_image, order)
        scores = TiledScores(method, Encoded(vector=v), Encoded(vector=u), memory_mb)
        stamp = {"transductive": {"eval_interaction": mode, "batch_size": size, "seed": seed}}
        ranking = rank_and_write(out / mode, opened.data, split, scores, made_from=opened.weights, stamp=stamp)
        results[mode] = {"full": metrics(ranking.i2t, ranking.t2i)}
        if folds > 1:
            results[mode] = {"folds": metrics(ranking.i2t_fold, ranking.t2i_fold), **results[mode]}
    learned = learned_steps(opened.record, method.options.interaction.start)
    if learned == 0:
        logger.warning("%s: its best epoch is older than the interaction, which has learned nothing there", run)
    record = {
        "schema_version": 1,
        "kind": "transductive",
        **{key: getattr(opened.record, key) for key in ("dataset", "method", "seed", "dataset_sha256")},
        "run_sha256": run_sha256,
        "weights_sha256": {name.removesuffix(".safetensors"): digest for name, digest in opened.weights.items()},
        "split": SPLIT,
        "batch_size": size,
        "interaction_steps": learned,
        "modes": results,
        "started": started,
        "ended": now(),
    }
    write_json(out / "diagnosis.json", record)


def batches(mode: str, caption_image: Rows, *, size: int, seed: int) -> Iterator[Rows]:
    """Caption rows of every batch; each caption is in one of them, the last batch of a round may be smaller.

    file           captions in file order
    shuffled       captions in an order that `seed` decides
    one_per_image  in rounds: the first caption of every image, then the second of all that have one, and so on
    """
    n = len(caption_image)
    if mode == "file":
        rounds = [np.arange(n)]
    elif mode == "shuffled":
        rounds = [np.random.default_rng(seed).permutation(n)]
    elif mode == "one_per_image":
        place = occurrence(caption_image)
        rounds = [np.flatnonzero(place == number) for number in range(int(place.max()) + 1)]
    else:
        raise ValueError(f"no batches for {mode!r}")
    for rows in rounds:
        for first in range(0, len(rows), size):
            yield rows[first : first + size]


def occurrence(caption_image: Rows) -> Rows:
    """(n_captions,): 0 for the first caption of its image in file order, 1 for the second, and so on."""
    by_image = np.argsort(caption_image, kind="stable")
    ordered = caption_image[by_image]
    place = np.empty(len(ordered), np.int64)
    place[by_image] = np.arange(len(ordered)) - np.searchsorted(ordered, ordered)
    return place


@torch.inference_mode()
def enhance(
    interaction: Callable[[Tensor], Tensor], images: Tensor, texts: Tensor, caption_image: Rows, order: Iterable[Rows]
) -> tuple[Tensor, Tensor]:
    """Embeddings (n_images, dim) and (n_captions, dim) after the interaction inside each batch of caption rows.

    interaction  (2, n, dim) -> (2, n, dim): images of a batch beside its captions; the two do not hear each other
    """
    first = occurrence(caption_image) == 0
    new_images, new_texts = torch.full_like(images, torch.nan), torch.full_like(texts, torch.nan)
    for rows in order:
        owners = caption_image[rows]
        heard = interaction(torch.stack([images[owners], texts[rows]]))
        new_images[owners[first[rows]]] = heard[0][torch.from_numpy(first[rows]).to(heard.device)]
        new_texts[rows] = heard[1]
    return new_images, new_texts


def learned_steps(record: RunRecord, start: float) -> int | None:
    """Optimizer steps in which the interaction joined the loss before the best epoch ended; None if not recorded."""
    if record.best_epoch is None or record.steps_per_epoch is None or record.steps is None:
        return None
    return sum(1 for step in range(record.best_epoch * record.steps_per_epoch) if step / record.steps >= start)
