"""Controls that frame every table: chance (random embeddings), perfection (oracle), and what is true (truth)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lgsf.data.layout import Split, open_dataset
from lgsf.evaluation.protocol import rank_and_write
from lgsf.metrics.ranking import Floats, Scores
from lgsf.runs.origin import evaluated_files
from lgsf.runs.provenance import now, provenance
from lgsf.runs.record import RunRecord, write_record
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_arrays
from lgsf.system.given import check_seed, seed_of_folder

ROWS = 128
RANDOM_DIM = 64
TITLES = {
    "random": "Chance (random embeddings)",
    "oracle": "Oracle (ground truth)",
    "truth": "Truth (scene graph, rare captions first)",
}


@dataclass(frozen=True)
class EmbeddingScores:
    """Dot products of two sets of vectors, in blocks (lgsf.metrics.ranking.Scores)."""

    images: Floats
    captions: Floats

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.images), len(self.captions)

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        for first in range(0, len(self.images), ROWS):
            yield first, self.images[first : first + ROWS] @ self.captions.T


@dataclass(frozen=True)
class PairScores:
    """A value of at least 1 for listed pairs, 0 for the others, plus a tie-breaker in [0, noise) fixed by the seed."""

    shape: tuple[int, int]
    images: npt.NDArray[np.int64]
    captions: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]
    noise: float
    seed: int

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        for first in range(0, self.shape[0], ROWS):
            rows = min(ROWS, self.shape[0] - first)
            block = np.zeros((rows, self.shape[1]), np.float32)
            if self.noise:
                generator = np.random.default_rng([self.seed, first])
                block += self.noise * generator.random(block.shape, np.float32)
            here = (self.images >= first) & (self.images < first + rows)
            block[self.images[here] - first, self.captions[here]] += self.values[here]
            yield first, block


def control(*, kind: str, dataset: Path, seed: int, out: Path) -> None:
    """Write a run of a control: ranks of dev and test and a record, no weights."""
    seed_of_folder(out, check_seed(seed))
    data = open_dataset(dataset)
    started, origin = now(), provenance(data, device=None)
    for offset, name in enumerate(("dev", "test")):
        split = data.split(name)
        scores = control_scores(kind, split, data.root / name, 2 * seed + offset)
        rank_and_write(out / name, data, split, scores, made_from={"control": kind, "seed": seed})
    record = RunRecord(
        **origin,
        kind="control",
        dataset=data.name,
        method=kind,
        title=TITLES[kind],
        seed=seed,
        config={},
        files=evaluated_files(out, ("dev", "test")),
        started=started,
        ended=now(),
        ending="finished",
    )
    write_record(out, record)


def control_scores(kind: str, split: Split, folder: Path, seed: int) -> Scores:
    """The scores of one control on one split."""
    shape = len(split.images), len(split.captions)
    if kind == "random":
        # Vectors and not scores: this is what an untrained pair of encoders would hand to the ranking.
        generator = np.random.default_rng(seed)
        images, captions = (_unit(generator.standard_normal((n, RANDOM_DIM), np.float32)) for n in shape)
        return EmbeddingScores(images, captions)
    if kind == "oracle":
        return PairScores(shape, split.caption_image, np.arange(shape[1]), np.ones(shape[1], np.float32), 0.0, seed)
    path = folder / "relevance.npz"
    if kind == "truth" and path.is_file():
        pairs = read_arrays(path, hint="prepare the dataset again")
        true_image, caption = pairs["image"].astype(np.int64), pairs["caption"].astype(np.int64)
        # An image has many true captions; those that are true of few other images are likelier its own.
        rarity = shape[0] + 1 - np.bincount(caption, minlength=shape[1])
        return PairScores(shape, true_image, caption, rarity[caption].astype(np.float32), 0.5, seed)
    raise LgsfError(
        f"{path} is missing: the control {kind!r} needs a dataset that knows which captions are true of which "
        "images; remove it from run.controls."
    )


def _unit(vectors: Floats) -> Floats:
    unit: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
