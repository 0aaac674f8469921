"""Regions of a photo by any detector of transformers with one box per query: DETR, RT-DETR, D-FINE, YOLOS ...

What Bottom-Up Attention (Anderson et al. 2018, https://arxiv.org/abs/1707.07998) does with Faster R-CNN: the best
boxes whatever their class, and for each a vector, here pooled from the backbone's last map or the query itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from lgsf.data.photos.settings import Extraction
from lgsf.extract.boxes import corners, nms, roi_align
from lgsf.extract.models import Opened, open_model
from lgsf.system.errors import LgsfError

AUTO = "AutoModelForObjectDetection"


@dataclass(frozen=True)
class Regions:
    """What was found in one photo, best first: features (n, dim) and boxes (n, 4) in 0..1, both float32."""

    features: Tensor
    boxes: Tensor


@dataclass
class Detector:
    """Photos to regions."""

    opened: Opened
    settings: Extraction
    _map: Tensor | None = field(default=None, repr=False)

    @classmethod
    def open(cls, settings: Extraction, device: torch.device) -> Detector:
        """The detector that the settings name.

        Raises LgsfError where it cannot be opened, or has no map to pool from and the settings ask for it.
        """
        detector = cls(open_model(settings.model, AUTO, device=device), settings)
        if settings.features == "backbone":
            backbone = _backbone(detector.opened.model)
            if backbone is None:
                raise LgsfError(
                    f"extract.model {settings.model!r} has no backbone whose map could be pooled: set "
                    "extract.features: queries."
                )
            backbone.register_forward_hook(detector._keep)
        return detector

    def _keep(self, module: nn.Module, inputs: Any, output: Any) -> None:
        maps = list(_maps(output))
        self._map = maps[-1] if maps else None

    @torch.inference_mode()
    def __call__(self, batch: dict[str, Tensor]) -> list[Regions]:
        """One entry per photo of the batch."""
        padded = batch.get("pixel_mask")
        if padded is not None and "pixel_mask" not in self.opened.accepts and not padded.all():
            return [found for single in _unpadded(batch["pixel_values"], padded) for found in self(single)]
        output = self.opened.ask(self.opened.model, **self.opened.inputs(batch))
        scores = query_scores(output.logits.float(), self.opened.model.config)
        boxes = corners(output.pred_boxes.float())
        # YOLOS's states begin with the cells of the picture; queries come last everywhere.
        states = output.last_hidden_state[:, -scores.shape[1] :].float()
        valid = valid_shares(batch)
        return [self._regions(row, scores[row], boxes[row], states[row], valid[row]) for row in range(len(scores))]

    def _regions(self, row: int, scores: Tensor, boxes: Tensor, states: Tensor, valid: tuple[float, float]) -> Regions:
        settings = self.settings
        rows = ((boxes[:, 2:] > boxes[:, :2]).all(dim=1) & (scores >= settings.min_score)).nonzero()[:, 0]
        if not len(rows):  # an image without a region has no place in a dataset: the whole of it is one
            rows = scores.argmax()[None]
            boxes = torch.tensor([0.0, 0.0, 1.0, 1.0], device=boxes.device).expand_as(boxes)
        kept = rows[nms(boxes[rows], scores[rows], threshold=settings.nms, top_k=settings.top_k)]
        if settings.features == "queries":
            features = states[kept]
        else:
            if self._map is None:
                raise LgsfError(
                    f"extract.model {settings.model!r}: its backbone gives no map of cells: set extract.features: queries."
                )
            # Boxes are shares of the photo; the map covers the photo and what it was padded with.
            height, width = self._map.shape[2:]
            scale = torch.tensor([valid[0] * width, valid[1] * height] * 2, device=boxes.device)
            bins = roi_align(self._map[row].float(), boxes[kept] * scale, bins=settings.bins)
            features = bins.mean(dim=(2, 3))
        return Regions(features, boxes[kept])


def query_scores(logits: Tensor, config: Any) -> Tensor:
    """(n, queries) chance that a query shows anything, from (n, queries, classes) logits.

    Where there is one class more than labels the last one is "nothing" and classes compete (DETR, YOLOS);
    otherwise each class answers for itself (the focal loss of Deformable DETR and its successors).
    """
    compete = logits.shape[2] == config.num_labels + 1 or not getattr(config, "use_focal_loss", True)
    chances = logits.softmax(dim=2)[..., :-1] if compete else logits.sigmoid()
    return chances.amax(dim=2)


def _backbone(model: nn.Module) -> nn.Module | None:
    return next((module for name, module in model.named_modules() if name.split(".")[-1] == "backbone"), None)


def _maps(output: Any) -> Iterator[Tensor]:
    """Maps (n, dim, height, width) in a backbone's output: they stand in pairs with their mask of padding."""
    if not isinstance(output, (tuple, list)):
        return
    if len(output) == 2 and all(isinstance(part, Tensor) for part in output) and output[1].dtype == torch.bool:
        yield output[0]
        return
    for part in output:
        yield from _maps(part)


def valid_shares(batch: dict[str, Tensor]) -> list[tuple[float, float]]:
    """Per photo the share of the padded width and height that is photo."""
    mask = batch.get("pixel_mask")
    if mask is None:
        return [(1.0, 1.0)] * len(batch["pixel_values"])
    width, height = mask[:, 0].float().mean(dim=1), mask[:, :, 0].float().mean(dim=1)
    return list(zip(width.tolist(), height.tolist(), strict=True))


def _unpadded(pixels: Tensor, mask: Tensor) -> Iterator[dict[str, Tensor]]:
    """Each photo as a batch of its own without padding, for models that would look at it."""
    for picture, own in zip(pixels, mask.bool(), strict=True):
        yield {"pixel_values": picture[None, :, : int(own[:, 0].sum()), : int(own[0].sum())]}
