"""A trained run as a notebook opens it: from a folder, or from the Hugging Face hub; it encodes, compares and searches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lgsf.data.batches.training import image_batches
from lgsf.data.layout import Dataset, Split
from lgsf.data.layout import open_dataset as open_layout
from lgsf.metrics.ranking import Floats
from lgsf.models.base import Encoded
from lgsf.models.scoring import IMAGE_BATCH, TEXT_BATCH, TiledScores, encode_split
from lgsf.runs.opened import LoadedRun, load
from lgsf.runs.record import read_record
from lgsf.sharing.load import HUB, downloaded
from lgsf.system.errors import LgsfError
from lgsf.system.given import given_path


@dataclass(frozen=True, repr=False)
class Run(LoadedRun):
    """A trained model, its words, its record (`run.json`), and the folder that it lies in.

    >>> run = lgsf.load_run("results/scenes/lgsf/seed0", "resources/scenes")
    >>> test = lgsf.open_dataset("resources/scenes").split("test")
    >>> rows = run.search("a red circle left of a blue square", test, k=5)
    """

    folder: Path

    def __repr__(self) -> str:
        record = self.record
        weights = sum(tensor.numel() for tensor in self.method.state_dict().values())
        dev = "" if record.dev is None or "rsum" not in record.dev else f", dev rSum {record.dev['rsum']:.1f}"
        name = record.title or record.method
        return f"<run {name} on {record.dataset}, seed {record.seed}: {weights:,} weights{dev}>"

    def encode_images(
        self, regions: Split | torch.Tensor, mask: torch.Tensor | None = None, boxes: torch.Tensor | None = None
    ) -> Encoded:
        """All images of a split, or regions (n, n_regions, dim) float32 with their mask (n, n_regions) bool.

        boxes  (n, n_regions, 4) float32, x0 y0 x1 y1 in 0..1, for methods that look at them

        Raises LgsfError for other shapes.
        """
        if isinstance(regions, Split):
            if mask is not None or boxes is not None:
                raise LgsfError("encode_images takes a split alone: its mask and boxes are its own.")
            parts = [super(Run, self).encode_images(*batch) for batch in image_batches(regions, IMAGE_BATCH)]
            return Encoded.concatenate(parts)
        if mask is None:
            mask = torch.ones(regions.shape[:2], dtype=torch.bool)
        return super().encode_images(regions, mask, boxes)

    def encode_texts(self, captions: Sequence[str]) -> Encoded:
        """Encode captions as they are written, in batches; no captions give none. LgsfError for anything but texts."""
        if isinstance(captions, str | bytes):
            return super().encode_texts(captions)  # which says what is wrong
        captions = list(captions)
        starts = range(0, max(len(captions), 1), TEXT_BATCH)
        return Encoded.concatenate([super(Run, self).encode_texts(captions[s : s + TEXT_BATCH]) for s in starts])

    def search(self, texts: str | Sequence[str] | Encoded, images: Split | Encoded, *, k: int = 5) -> torch.Tensor:
        """(n_texts, k) int64: rows of the best images for each text, best first; fewer where there are no k images.

        texts   captions, one or several, or what `encode_texts` made of them
        images  a split, or what `encode_images` made of it, which is faster where it is searched more than once
        """
        if not isinstance(texts, Encoded):
            texts = self.encode_texts([texts] if isinstance(texts, str) else texts)
        return super().search(texts, self.encode_images(images) if isinstance(images, Split) else images, k=k)

    def scores(self, split: Split, *, memory_mb: int = 512) -> Floats:
        """(n_images, n_captions) float32: the score of every pair of a split, the very numbers that are ranked.

        Held in memory: half a GB for COCO's 5,000 test images. `lgsf.rank` makes ranks of them.
        """
        tiled = TiledScores(self.method, *encode_split(self.method, split, self.vocabulary, device=_CPU), memory_mb)
        return np.concatenate([block for _, block in tiled.blocks()])


_CPU = torch.device("cpu")


def load_run(run: str | Path, dataset: str | Path | Dataset | None = None) -> Run:
    """Open a trained run, on the CPU.

    run      its folder, `<results>/<dataset>/<method>/seed<k>`; or `hub:owner/name`, perhaps with `@revision`, for one
             that `lgsf push-to-hub` published: it is fetched to the hub's local store and verified
    dataset  the prepared dataset it was trained on, whose words are checked. A published run brings what it needs of it

    Raises LgsfError where a file is absent, damaged, or not the one that the run's record names.
    """
    folder = downloaded(str(run)) if str(run).startswith(HUB) else given_path(run)
    if dataset is None and not (folder / "dataset.json").is_file():
        raise LgsfError(f"{folder} does not bring its dataset: name the prepared dataset it was trained on as well.")
    data = dataset if isinstance(dataset, Dataset) else open_layout(folder if dataset is None else given_path(dataset))
    return Run(**vars(load(folder, read_record(folder), data)), folder=folder)
