"""A dual encoder off the shelf: photos and captions to unit vectors in its own shared space, by any CLIP or SigLIP."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from lgsf.extract.batches import photo_batches
from lgsf.extract.models import EXTRA, Opened, one_line, open_model
from lgsf.pretrained.files import DUAL_FILES
from lgsf.pretrained.hub import model_folder
from lgsf.system.errors import LgsfError
from lgsf.system.hashes import sha256

logger = logging.getLogger(__name__)
KEY = "zero_shot.model"
WORDS = ("tokenizer.json", "vocab.json", "vocab.txt", "*.model")  # any of these holds a vocabulary
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class DualEncoder:
    """Both towers of a model and its tokenizer. `files` name -> sha256 of everything that was read."""

    opened: Opened
    tokenizer: Any
    longest: int
    pad_to_longest: bool
    files: dict[str, str]

    @classmethod
    def open(cls, name: str, device: torch.device) -> DualEncoder:
        """The model of a folder or hub name.

        Raises LgsfError where it cannot be opened or does not put photos and texts into one space.
        """
        kind = "a CLIP or SigLIP (config.json, preprocessor_config.json, tokenizer files, model.safetensors)"
        folder = model_folder(name, key=KEY, kind=kind, extra=EXTRA, patterns=DUAL_FILES)
        opened = open_model(str(folder), "AutoModel", device=device, key=KEY)
        model: Any = opened.model
        if not (hasattr(model, "get_image_features") and hasattr(model, "get_text_features")):
            raise LgsfError(
                f"{KEY} {name!r} is a {type(model).__name__}, which has no vectors of photos and texts in one space: "
                "name a CLIP, a SigLIP or their like."
            )
        from transformers import AutoTokenizer

        if not any(list(folder.glob(pattern)) for pattern in WORDS):  # transformers would take an empty vocabulary
            raise LgsfError(f"{folder} has no tokenizer file ({', '.join(WORDS)}): take the model with its tokenizer.")
        try:
            tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        except Exception as error:  # of many kinds, for many kinds of broken files
            raise LgsfError(
                f"{folder}: its tokenizer cannot be read ({one_line(error)}): take the model anew."
            ) from None
        settings = getattr(model.config, "text_config", model.config)
        longest = min(tokenizer.model_max_length, getattr(settings, "max_position_embeddings", 512))
        # SigLIP was trained with padding in every text and without a mask; CLIP masks what is padded.
        siglip = str(model.config.model_type).startswith("siglip")
        files = {path.name: sha256(path) for pattern in DUAL_FILES for path in sorted(folder.glob(pattern))}
        return cls(opened, tokenizer, longest, siglip, files)

    @torch.inference_mode()
    def texts(self, captions: Sequence[str], *, batch_size: int, precision: str = "float32") -> Vectors:
        """(n_captions, dim) float32 unit vectors; longer captions are cut, and how many is said."""
        model: Any = self.opened.model
        found, cut = [], 0
        for first in range(0, len(captions), batch_size):
            batch = list(captions[first : first + batch_size])
            whole = self.opened.ask(self.tokenizer, batch)["input_ids"]
            cut += sum(len(tokens) > self.longest for tokens in whole)
            inputs = self.opened.ask(
                self.tokenizer, batch, padding="max_length" if self.pad_to_longest else True, truncation=True, max_length=self.longest,
                return_tensors="pt",
            )  # fmt: skip
            accepted = {name: value.to(self.opened.device) for name, value in inputs.items() if name in TEXT_INPUTS}
            if self.pad_to_longest:
                accepted.pop("attention_mask", None)
            with _mixed(self.opened, precision):
                found.append(_unit(self.opened.ask(model.get_text_features, **accepted)))
        if cut:
            logger.warning("%d of %d captions are longer than the model reads; they are cut.", cut, len(captions))
        return np.concatenate(found)

    @torch.inference_mode()
    def photos(self, files: Sequence[Path], *, batch_size: int, workers: int, precision: str = "float32") -> Vectors:
        """(n_photos, dim) float32 unit vectors; LgsfError for a photo that cannot be read."""
        model: Any = self.opened.model
        found = []
        names = [str(file.resolve()) for file in files]
        for batch in photo_batches(Path("/"), names, self.opened.preprocess, size=batch_size, workers=workers):
            for photo in batch.photos:
                if photo.bad is not None:
                    raise LgsfError(f"{photo.file_name} cannot be read ({photo.bad}): copy it again.")
            with _mixed(self.opened, precision):
                found.append(_unit(self.opened.ask(model.get_image_features, **self.opened.inputs(batch.inputs))))
        return np.concatenate(found)


TEXT_INPUTS = ("input_ids", "attention_mask")


def _mixed(opened: Opened, precision: str) -> torch.autocast:
    return torch.autocast(opened.device.type, getattr(torch, precision), enabled=precision != "float32")


def _unit(output: Any) -> Vectors:
    vectors = getattr(output, "pooler_output", output).float()
    unit: Vectors = functional.normalize(vectors, dim=-1).cpu().numpy()
    return unit
