"""Open a vision model: its weights, and what turns pictures into its input - the model's own processor, always.

Weights are read from safetensors alone, code of a model's folder is never run, and a weight that the file lacks is
an error: transformers would fill it at random.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from lgsf.extract.batches import Preprocess
from lgsf.models.device import own_device
from lgsf.pretrained.files import TIMM, VISION_FILES, matching_files
from lgsf.pretrained.hub import model_folder
from lgsf.system.errors import LgsfError
from lgsf.system.failures import ending
from lgsf.system.hashes import sha256

EXTRA = "vision"
# x0 y0 x1 y1 in 0..1 of what a model sees of a picture of some width and height.
Visible = Callable[[int, int], tuple[float, float, float, float]]


@dataclass(frozen=True)
class Opened:
    """A model in evaluation mode on its device.

    name      as the settings have it, or its folder
    files     name -> sha256 of what it was read from
    accepts   names of inputs that its `forward` takes
    pooled    whether its own pooled vector is made of trained weights
    """

    name: str
    model: nn.Module
    preprocess: Preprocess
    visible: Visible
    files: dict[str, str]
    accepts: frozenset[str]
    pooled: bool

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def ask(self, part: Callable[..., Any], *inputs: Any, **named: Any) -> Any:
        """What `part` of the model, or its tokenizer, makes of inputs.

        Raises LgsfError where it fails: a processor, a tokenizer and weights that were each read without complaint need
        not fit together. Faults of the system, a full memory among them, stay what they are.
        """
        try:
            return part(*inputs, **named)
        except Exception as error:  # of many kinds, for many kinds of mistakes
            if ending(error) is not None:
                raise
            raise LgsfError(
                f"{self.name} was opened and then failed at its work ({type(error).__name__}: {one_line(error)}): its "
                "configuration, its processor or tokenizer and its weights do not fit together; take it anew, all of it."
            ) from error

    def inputs(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Those of a batch's tensors that the model takes, on its device."""
        return {name: value.to(self.device) for name, value in batch.items() if name in self.accepts}


def open_model(name: str, auto: str, *, device: torch.device, key: str = "extract.model") -> Opened:
    """A model of transformers by one of its Auto classes, for example AutoModelForObjectDetection; or one of timm.

    Raises LgsfError where the model cannot be found, read or used, or a weight is missing.
    """
    if name.startswith(TIMM):
        from lgsf.extract.timm_models import open_timm

        return open_timm(name.removeprefix(TIMM), device=device)
    folder = model_folder(
        name, key=key, kind="a vision model (config.json, preprocessor_config.json, model.safetensors)", extra=EXTRA,
        patterns=VISION_FILES,
    )  # fmt: skip
    try:
        import transformers
        from transformers import AutoImageProcessor
    except ImportError as error:
        raise LgsfError(
            f"{key} needs transformers, which cannot be imported ({error}): pip install 'lgsf-benchmark[{EXTRA}]'."
        ) from None
    if not list(folder.glob("*.safetensors")):
        raise LgsfError(
            f"{folder} has no *.safetensors, and weights of other formats are not read: convert them with "
            "save_pretrained of a current transformers."
        )
    logging.getLogger("transformers").setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        # Pillow's arithmetic whether torchvision is installed or not: features must not depend on that.
        processor = AutoImageProcessor.from_pretrained(str(folder), backend="pil", **local)
        model, loading = getattr(transformers, auto).from_pretrained(
            str(folder), use_safetensors=True, dtype=torch.float32, output_loading_info=True, **local
        )
    except Exception as error:  # of many kinds, for many kinds of broken folders
        raise LgsfError(
            f"{folder} cannot be opened by {auto} ({one_line(error)}): give the folder of such a model with "
            "its preprocessor_config.json, or take it anew."
        ) from None
    missing = sorted(loading["missing_keys"])
    if lost := [weight for weight in missing if "pooler" not in weight]:
        raise LgsfError(f"{folder} lacks {len(lost)} weights of its model, the first is {lost[0]!r}: take it anew.")
    return Opened(
        name=str(folder),
        model=model.eval().to(device),
        preprocess=_Processor(processor),
        visible=Crop.of(processor),
        files={path.name: sha256(path) for path in matching_files(folder, VISION_FILES)},
        accepts=frozenset(inspect.signature(model.forward).parameters),
        pooled=not missing,
    )


def one_line(error: Exception) -> str:
    """What an exception says, as part of a sentence."""
    return " ".join(str(error).split())[:240]


@dataclass(frozen=True)
class _Processor:
    """A model's own image processor as `Preprocess`."""

    processor: Any

    def __call__(self, pictures: Sequence[Image.Image]) -> dict[str, Tensor]:
        return dict(self.processor(images=list(pictures), return_tensors="pt"))


@dataclass(frozen=True)
class Crop:
    """What is left of a picture that is scaled, then cut around its middle.

    shortest  the picture's shorter side is scaled to this; None: both sides are scaled to the model's
    cut       (width, height) of what is cut out; None: nothing is cut off
    """

    shortest: float | None
    cut: tuple[float, float] | None

    @classmethod
    def of(cls, processor: Any) -> Crop:
        """From the settings of an image processor."""
        size = _sides(getattr(processor, "size", None))
        edge = size.get("shortest_edge")
        percent = getattr(processor, "crop_pct", None)
        if percent and edge and edge < 384:  # ConvNeXt's: larger inputs are squashed instead
            return cls(edge / percent, (edge, edge))
        crop = _sides(getattr(processor, "crop_size", None))
        if not getattr(processor, "do_center_crop", False) or "height" not in crop:
            return cls(None, None)
        if edge is None or not getattr(processor, "do_resize", True):
            return cls(None, (crop["width"] / size.get("width", crop["width"]),
                              crop["height"] / size.get("height", crop["height"])))  # fmt: skip
        return cls(edge, (crop["width"], crop["height"]))

    def __call__(self, width: int, height: int) -> tuple[float, float, float, float]:
        if self.cut is None:
            return 0.0, 0.0, 1.0, 1.0
        if self.shortest is None:
            share = self.cut
        else:
            scale = self.shortest / min(width, height)
            share = (self.cut[0] / (width * scale), self.cut[1] / (height * scale))
        x, y = (min(1.0, part) / 2 for part in share)
        return 0.5 - x, 0.5 - y, 0.5 + x, 0.5 + y


def _sides(size: Any) -> dict[str, float]:
    """Sides of a processor's size by name, those that are given."""
    if size is None:
        return {}
    return {name: float(value) for name, value in dict(size).items() if value is not None}


def check_device(device: str) -> torch.device:
    """The CPU, or a GPU that nobody else of ours has; LgsfError where this machine has none."""
    if device == "cuda" and not torch.cuda.is_available():
        raise LgsfError("the device is cuda and torch sees no GPU here: set device: cpu, or run where one is.")
    return own_device(device)
