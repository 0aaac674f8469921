"""Grids and vectors of real backbone classes with random weights, held against the library's own answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lgsf.data.photos.settings import Extraction
from lgsf.extract.grids import Backbone, cell_boxes, to_map
from lgsf.extract.models import Crop

Models = Callable[[str], Path]
CPU = torch.device("cpu")
WIDTH, HEIGHT = 60, 48


def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8))


def opened(model: Path, **settings: Any) -> Backbone:
    return Backbone.open(Extraction.model_validate({"model": str(model), **settings}), CPU)


def library_grid(kind: str, backbone: Backbone, pixels: torch.Tensor) -> torch.Tensor:
    """(cells, dim) by hand, from what each class documents."""
    model: Any = backbone.opened.model
    with torch.inference_mode():
        match kind:
            case "vit" | "dinov2":
                return model(pixel_values=pixels).last_hidden_state[0, 1:]
            case "clip":
                return model.vision_model(pixel_values=pixels).last_hidden_state[0, 1:]
            case "siglip":
                return model.vision_model(pixel_values=pixels).last_hidden_state[0]
            case "swin":
                return model(pixel_values=pixels).last_hidden_state[0]
            case _:
                return model(pixel_values=pixels).last_hidden_state[0].flatten(1).T


@pytest.mark.parametrize(
    ("kind", "cells", "dim"),
    [("vit", 16, 32), ("swin", 64, 16), ("dinov2", 16, 32), ("resnet", 4, 24), ("clip", 16, 32), ("siglip", 16, 32)],
)
def test_grid_is_the_librarys_last_map(vision_model: Models, kind: str, cells: int, dim: int) -> None:
    backbone = opened(vision_model(kind), kind="grid")
    inputs = backbone.opened.preprocess([picture()])
    (found,) = backbone(inputs, [(WIDTH, HEIGHT)])
    assert found.features.shape == (cells, dim)
    torch.testing.assert_close(found.features, library_grid(kind, backbone, inputs["pixel_values"]))


@pytest.mark.parametrize("kind", ["vit", "resnet", "clip", "siglip", "dinov2", "swin"])
def test_vector_is_the_librarys_own(vision_model: Models, kind: str) -> None:
    backbone = opened(vision_model(kind), kind="image")
    inputs = backbone.opened.preprocess([picture()])
    (found,) = backbone(inputs, [(WIDTH, HEIGHT)])
    model: Any = backbone.opened.model
    with torch.inference_mode():
        if kind in ("clip", "siglip"):
            expected = model.get_image_features(pixel_values=inputs["pixel_values"]).pooler_output
        else:
            expected = model(pixel_values=inputs["pixel_values"]).pooler_output
    torch.testing.assert_close(found.features, expected.flatten(1))


def test_an_untrained_pooler_is_not_used(vision_model: Models, tmp_path: Path) -> None:
    """Checkpoints of classifiers have no pooler; transformers would make one up."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "vit"
    folder.mkdir()
    for file in vision_model("vit").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    weights = {name: value for name, value in load_file(folder / "model.safetensors").items() if "pooler" not in name}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    backbone = opened(folder, kind="image")
    inputs = backbone.opened.preprocess([picture()])
    (found,) = backbone(inputs, [(WIDTH, HEIGHT)])
    expected = library_grid("vit", backbone, inputs["pixel_values"]).mean(dim=0, keepdim=True)
    torch.testing.assert_close(found.features, expected)


def test_pooled_grid(vision_model: Models) -> None:
    backbone, pooled = (opened(vision_model("vit"), kind="grid", grid=grid) for grid in (None, 2))
    inputs = backbone.opened.preprocess([picture()])
    (cells,), (few,) = (one(inputs, [(WIDTH, HEIGHT)]) for one in (backbone, pooled))
    expected = cells.features.reshape(2, 2, 2, 2, -1).mean(dim=(1, 3)).reshape(4, -1)
    torch.testing.assert_close(few.features, expected)
    assert few.boxes.tolist() == [[0, 0, 0.5, 0.5], [0.5, 0, 1, 0.5], [0, 0.5, 0.5, 1], [0.5, 0.5, 1, 1]]


@pytest.mark.parametrize("kind", ["vit", "dinov2", "resnet", "clip"])
def test_boxes_say_what_the_processor_leaves_of_a_photo(vision_model: Models, kind: str) -> None:
    """A photo whose colour is its place: the processor's output shows which part of it was kept."""
    backbone = opened(vision_model(kind), kind="image")
    y, x = np.mgrid[0:300, 0:400]
    photo = Image.fromarray(np.stack([x / 400 * 255, y / 300 * 255, x * 0], axis=2).astype(np.uint8))
    pixels = backbone.opened.preprocess([photo])["pixel_values"][0]
    plain = backbone.opened.preprocess([Image.new("RGB", (400, 300)), Image.new("RGB", (400, 300), (255, 255, 255))])
    black, white = plain["pixel_values"][:, :, 0, 0]
    seen = (pixels - black[:, None, None]) / (white - black)[:, None, None]
    across, down = seen[0].mean(dim=0), seen[1].mean(dim=1)
    half_x, half_y = (float(line[1:].sub(line[:-1]).median()) / 2 for line in (across, down))
    expected = [across[0] - half_x, down[0] - half_y, across[-1] + half_x, down[-1] + half_y]
    (box,) = cell_boxes(backbone.opened.visible, (400, 300), (1, 1)).tolist()
    np.testing.assert_allclose(box, np.clip(expected, 0, 1), atol=0.03)


def test_cells_tile_what_is_seen() -> None:
    boxes = cell_boxes(Crop(100, (100, 80)), (200, 100), (2, 4))
    assert boxes.shape == (8, 4)
    torch.testing.assert_close(boxes[0], torch.tensor([0.25, 0.1, 0.375, 0.5]))
    torch.testing.assert_close(boxes[-1], torch.tensor([0.625, 0.5, 0.75, 0.9]))


def test_states_that_are_no_grid() -> None:
    assert to_map(torch.zeros(2, 5), 32, 32) is None
    assert to_map(torch.zeros(1, 7, 4), 32, 32) is None  # seven square cells of a square
    assert to_map(torch.zeros(1, 3, 4), 32, 32, patch=8) is None  # neither 16 cells nor 4 nor 1


def test_registers_and_class_token_stand_before_the_cells() -> None:
    states = torch.arange(1 + 4 + 6).float()[None, :, None]
    found = to_map(states, 16, 24, patch=8)
    assert found is not None
    assert found[0, 0].tolist() == [[5, 6, 7], [8, 9, 10]]
