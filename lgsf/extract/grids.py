"""Grids and whole-image vectors by any vision backbone: ViT, DINOv2, CLIP, SigLIP, Swin, ResNet ..."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lgsf.data.photos.settings import Extraction
from lgsf.extract.models import Opened, Visible, open_model
from lgsf.extract.regions import Regions
from lgsf.system.errors import LgsfError

AUTO = "AutoModel"


@dataclass(frozen=True)
class Backbone:
    """Photos to the cells of a grid, row by row from the top, or to one vector."""

    opened: Opened
    settings: Extraction

    @classmethod
    def open(cls, settings: Extraction, device: torch.device) -> Backbone:
        """The backbone that the settings name; LgsfError where it cannot be opened."""
        return cls(open_model(settings.model, AUTO, device=device), settings)

    @torch.inference_mode()
    def __call__(self, batch: dict[str, Tensor], sizes: list[tuple[int, int]]) -> list[Regions]:
        """One entry per photo; `sizes` are the (width, height) that the photos had on disk."""
        pixels = self.opened.inputs(batch)["pixel_values"]
        if self.settings.kind == "image":
            vectors = self._vectors(pixels)[:, None]
            shape = (1, 1)
        else:
            cells = self._cells(pixels)
            if self.settings.grid is not None:
                cells = functional.adaptive_avg_pool2d(cells, self.settings.grid)
            shape = (cells.shape[2], cells.shape[3])
            vectors = cells.flatten(2).transpose(1, 2)
        return [
            Regions(features, cell_boxes(self.opened.visible, size, shape))
            for features, size in zip(vectors, sizes, strict=True)
        ]

    def _vectors(self, pixels: Tensor) -> Tensor:
        """(n, dim): in the space shared with text where there is one, else the pooled state, else the grid's mean."""
        model: Any = self.opened.model
        if hasattr(model, "get_image_features"):
            output = self.opened.ask(model.get_image_features, pixel_values=pixels)
            return _tensor(getattr(output, "pooler_output", output)).float()
        if self.opened.pooled and isinstance(model, nn.Module) and not hasattr(model, "forward_features"):
            pooled = getattr(self.opened.ask(model, pixel_values=pixels), "pooler_output", None)
            if pooled is not None:
                return _tensor(pooled).float().flatten(1)
        return self._cells(pixels).mean(dim=(2, 3))

    def _cells(self, pixels: Tensor) -> Tensor:
        """(n, dim, rows, columns) float32: the backbone's last map."""
        model: Any = self.opened.model
        if hasattr(model, "forward_features"):  # timm's
            last = self.opened.ask(model.forward_features, pixels)
            patch, first = None, int(getattr(model, "num_prefix_tokens", 0))
            if getattr(model, "output_fmt", "NCHW") == "NHWC":
                last = last.permute(0, 3, 1, 2)
        else:
            tower = getattr(model, "vision_model", model)
            last = self.opened.ask(tower, pixel_values=pixels).last_hidden_state
            patch, first = getattr(tower.config, "patch_size", None), None
        cells = to_map(_tensor(last), pixels.shape[2], pixels.shape[3], patch=patch, first=first)
        if cells is None:
            raise LgsfError(
                f"extract.model {self.settings.model!r}: its {tuple(last.shape)} states of {tuple(pixels.shape[2:])} "
                "pixels are no grid: set extract.kind: image, or take another backbone."
            )
        return cells.float()


def to_map(states: Tensor, height: int, width: int, *, patch: Any = None, first: int | None = None) -> Tensor | None:
    """(n, dim, rows, columns) from a map, or from states (n, tokens, dim) that end with one per cell; else None.

    height, width  of the picture in pixels
    patch   side of a cell in pixels, as the model's configuration has it; Swin and its like merge cells by twos
    first   how many states stand before the cells (class token, registers), where that is known
    """
    if states.dim() == 4:
        return states
    if states.dim() != 3:
        return None
    tokens = states.shape[1] - (first or 0)
    if patch is None:  # cells are square: as many rows to columns as height to width
        sides = [
            (r, tokens // r) for r in range(1, tokens + 1) if tokens % r == 0 and r * width == tokens // r * height
        ]
        shape = sides[0] if sides else None
    else:
        down, across = (patch, patch) if isinstance(patch, int) else tuple(patch)[-2:]
        rows, columns = height // down, width // across
        merged = [(rows >> k, columns >> k) for k in range(1, 6)]
        shape = (rows, columns) if rows * columns <= tokens else None
        shape = shape or next((side for side in merged if side[0] * side[1] == tokens), None)
    if shape is None:
        return None
    cells = states[:, states.shape[1] - shape[0] * shape[1] :]
    return cells.transpose(1, 2).reshape(len(states), -1, *shape)


def cell_boxes(visible: Visible, size: tuple[int, int], shape: tuple[int, int]) -> Tensor:
    """(rows * columns, 4) boxes of the cells on the photo, of which the model may see a part alone."""
    x0, y0, x1, y1 = visible(*size)
    x = torch.linspace(x0, x1, shape[1] + 1)
    y = torch.linspace(y0, y1, shape[0] + 1)
    top, left = torch.meshgrid(y[:-1], x[:-1], indexing="ij")
    bottom, right = torch.meshgrid(y[1:], x[1:], indexing="ij")
    return torch.stack([left, top, right, bottom], dim=2).reshape(-1, 4).clamp(0, 1)


def _tensor(value: Any) -> Tensor:
    assert isinstance(value, Tensor)
    return value
