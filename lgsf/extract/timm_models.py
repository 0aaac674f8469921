"""Backbones of timm, with timm's own preprocessing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from lgsf.extract.models import Opened
from lgsf.pretrained.files import VISION_FILES, locate, matching_files
from lgsf.system.errors import LgsfError
from lgsf.system.hashes import sha256


def open_timm(name: str, *, device: torch.device) -> Opened:
    """A model of timm: a folder with config.json and model.safetensors, or a name that timm fetches.

    Raises LgsfError where timm cannot be used, the model cannot be read, or its weights do not fit.
    """
    try:
        import timm
        from timm.data import create_transform, resolve_model_data_config
    except (ImportError, RuntimeError) as error:  # torchvision of another torch fails in its own ways
        raise LgsfError(
            f"timm:{name} needs timm and a torchvision that fits torch, which cannot be imported ({error}): "
            "pip install 'lgsf-benchmark[timm]'."
        ) from None
    folder = locate(name)
    files: dict[str, str] = {}
    try:
        if folder.is_dir():
            model = timm.create_model(f"local-dir:{_weights(folder)}", pretrained=True)
            files = {path.name: sha256(path) for path in matching_files(folder, VISION_FILES)}
        else:
            model = timm.create_model(name, pretrained=True)
    except LgsfError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise LgsfError(
            f"timm:{name} cannot be opened ({reason}): give a folder with config.json and model.safetensors as timm "
            "saves them for the hub, or a name that timm can fetch."
        ) from None
    settings = resolve_model_data_config(model)
    return Opened(
        name=f"timm:{name}",
        model=model.eval().to(device),
        preprocess=_Transform(create_transform(**settings, is_training=False)),
        visible=_visible(settings),
        files=files or {name: _digest(model)},
        accepts=frozenset({"pixel_values"}),
        pooled=False,
    )


def _weights(folder: Path) -> Path:
    if not list(folder.glob("*.safetensors")):
        raise LgsfError(
            f"{folder} has no *.safetensors, and weights of other formats are not read: save them with safetensors."
        )
    return folder.resolve()


@dataclass(frozen=True)
class _Transform:
    """timm's evaluation transform as `Preprocess`."""

    transform: Any

    def __call__(self, pictures: Sequence[Image.Image]) -> dict[str, Tensor]:
        return {"pixel_values": torch.stack([self.transform(picture) for picture in pictures])}


def _visible(settings: dict[str, Any]) -> Any:
    from lgsf.extract.models import Crop

    if settings.get("crop_mode", "center") != "center":
        return Crop(None, None)
    _, height, width = settings["input_size"]
    return Crop(int(min(height, width) / settings["crop_pct"]), (width, height))


def _digest(model: torch.nn.Module) -> str:
    """Fingerprint of weights that timm fetched."""
    import hashlib

    import safetensors.torch

    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    return hashlib.sha256(safetensors.torch.save(tensors)).hexdigest()
