"""A trained run, opened: its model, its words, its data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from lgsf.config.run_settings import RunSettings
from lgsf.data.checks.characters import clean
from lgsf.data.layout import Dataset, Split, open_dataset
from lgsf.data.text import Vocabulary
from lgsf.models.base import Encoded, Method
from lgsf.models.build import build_method, check_settings, make_repeatable
from lgsf.models.device import preferred
from lgsf.models.ragged import Ragged
from lgsf.models.scoring import TiledScores, encode_split
from lgsf.pretrained.read import RUN_FILES, run_pretrained
from lgsf.runs.origin import check_file
from lgsf.runs.record import FILE, RunRecord, read_record
from lgsf.runs.weights import load_weights
from lgsf.system.errors import LgsfError
from lgsf.system.names import shown

BESIDE = ("vocabulary.json", *(f"bert/{name}" for name in RUN_FILES))  # what a run reads beside its weights


@dataclass(frozen=True)
class LoadedRun:
    """A trained model with the vocabulary it was trained on; weights: sha256 of its weight files by their names."""

    method: Method
    vocabulary: Vocabulary
    record: RunRecord
    settings: RunSettings
    weights: Mapping[str, str]

    @torch.inference_mode()
    def encode_images(self, regions: torch.Tensor, mask: torch.Tensor, boxes: torch.Tensor | None = None) -> Encoded:
        """(n, n_regions, dim) float32 and (n, n_regions) bool -> n encoded images; LgsfError for other shapes."""
        width = self.method.spec.region_dim
        if regions.ndim != 3 or regions.shape[2] != width or not regions.is_floating_point():
            raise LgsfError(
                f"encode_images takes regions of shape (n, n_regions, {width}) in floating point and was given "
                f"{tuple(regions.shape)} {regions.dtype}: one image is regions[None]."
            )
        if mask.shape != regions.shape[:2] or mask.dtype != torch.bool:
            raise LgsfError(
                f"encode_images takes a mask of shape {tuple(regions.shape[:2])} bool, true where a region is valid, and "
                f"was given {tuple(mask.shape)} {mask.dtype}."
            )
        return self.method.encode_images(regions, mask, boxes)

    @torch.inference_mode()
    def encode_texts(self, captions: Sequence[str]) -> Encoded:
        """Encode captions as they are written, without characters that nobody sees; none give none. LgsfError for anything but a list of texts."""
        if isinstance(captions, str | bytes):
            raise LgsfError(
                f"encode_texts takes a list of captions and was given the text {shown(captions)}: write [caption]."
            )
        captions = list(captions)
        if foreign := [caption for caption in captions if not isinstance(caption, str)]:
            raise LgsfError(
                f"encode_texts takes captions as text, not {type(foreign[0]).__name__} {shown(foreign[0])}."
            )
        if not captions:
            return self.encode_texts(["."]).select(slice(0, 0))
        tokenizer = self.method.tokenizer(self.vocabulary)
        rows = [torch.tensor(tokenizer.pieces(clean(caption))[0]) for caption in captions]
        tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        lengths = torch.tensor([len(row) for row in rows])
        return self.method.encode_texts(tokens, torch.arange(tokens.shape[1]) < lengths[:, None])

    @torch.inference_mode()
    def search(self, texts: Encoded, images: Encoded, *, k: int) -> torch.Tensor:
        """(n_texts, k) int64: rows of the best images for each text, best first; fewer where there are no k images."""
        if k < 1:
            raise LgsfError(f"search gives the best k images of at least 1, not {k}.")
        if not len(texts) or not len(images):
            return torch.empty((len(texts), min(k, len(images))), dtype=torch.int64)
        return self.method.similarity(images, texts).T.topk(min(k, len(images)), dim=1).indices


def run_vocabulary(run: Path, record: RunRecord, dataset: Dataset) -> Vocabulary:
    """The words that a run was trained with: those in its own folder, otherwise the dataset's.

    Raises LgsfError when they are not the words that its record names.
    """
    own = run / "vocabulary.json"
    if own.is_file():
        vocabulary = Vocabulary.load(own, remedy="import this run again")
    else:
        vocabulary = dataset.vocabulary()
    if record.data.get("vocabulary", {}).get("hash") != vocabulary.hash:
        where = own if own.is_file() else dataset.root
        raise LgsfError(f"{run} was trained with other words than {where} has: name the dataset it was trained on.")
    return vocabulary


def load(run: Path, record: RunRecord, data: Dataset, *, training_only: bool = False) -> LoadedRun:
    """Build the model of a run and fill it with its weights; `data` is the dataset that it was trained on.

    Raises LgsfError where the run has no weights of its own, or its files or the dataset's words are not those that
    its record names.
    """
    if "model" not in record.config:
        raise LgsfError(f"{run} is of kind {record.kind!r} and has no weights of its own: name a trained run.")
    settings = check_settings(record.config, source=str(run / FILE))
    for name in BESIDE:
        if name in record.files:
            check_file(run, record, name)
    vocabulary = run_vocabulary(run, record, data)
    method = build_method(
        settings, data, vocabulary_size=len(vocabulary), pretrained=run_pretrained(run, settings.parameters)
    )
    weights = load_weights(method, run, record, training_only=training_only)
    return LoadedRun(method.eval(), vocabulary, record, settings, weights)


@dataclass(frozen=True)
class OpenRun(LoadedRun):
    """A trained run on its device, ready to score splits of the data that it was trained on."""

    data: Dataset
    device: torch.device

    def encode(self, split: Split) -> tuple[Encoded, Encoded | Ragged]:
        """All images and all captions of a split."""
        return encode_split(self.method, split, self.vocabulary, device=self.device)

    def scores(self, split: Split, memory_mb: int) -> TiledScores:
        """The score matrix of a split, in bounded memory."""
        return TiledScores(self.method, *self.encode(split), memory_mb)


def open_run(run: Path, dataset: Path, *, training_only: bool = False) -> OpenRun:
    """Open a trained run for scoring; `training_only` also reads the weights that evaluation never uses.

    It scores on the device that it was trained on, or on the CPU where that is a GPU and none is here.
    Raises LgsfError when the run has no weights of its own, was trained on other data, or its weights do not fit.
    """
    record = read_record(run)
    data = open_dataset(dataset)
    if "model" in record.config and record.dataset_sha256 != data.sha256:
        raise LgsfError(f"{run} was trained on another version of {dataset}: train it again or name its own dataset.")
    loaded = load(run, record, data, training_only=training_only)
    device = preferred(loaded.settings.device, what=str(run))
    make_repeatable(device, loaded.settings.threads)
    return OpenRun(**{**vars(loaded), "method": loaded.method.to(device)}, data=data, device=device)
