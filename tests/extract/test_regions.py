"""Regions of real detector classes with random weights, held against the library's own answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lgsf.data.photos.settings import Extraction
from lgsf.extract.boxes import corners, roi_align
from lgsf.extract.regions import Detector, Regions, query_scores, valid_shares
from lgsf.system.errors import LgsfError
from tests.support.vision_models import DETECTORS

Models = Callable[[str], Path]
CPU = torch.device("cpu")


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8))


def opened(model: Path, **settings: Any) -> Detector:
    wanted = {"kind": "regions", "model": str(model), "nms": 0.95, "top_k": 100, **settings}
    return Detector.open(Extraction.model_validate(wanted), CPU)


def library(detector: Detector, image: Image.Image) -> Any:
    """What the model says of one picture, alone."""
    with torch.inference_mode():
        return detector.opened.model(**detector.opened.preprocess([image]))


def assert_same(found: Regions, other: Regions, atol: float = 1e-5) -> None:
    for name in ("boxes", "features"):
        torch.testing.assert_close(getattr(found, name), getattr(other, name), atol=atol, rtol=1e-4)


@pytest.mark.parametrize("kind", DETECTORS)
def test_scores_are_those_of_the_library(vision_model: Models, kind: str) -> None:
    """Best class of each query by the processor's own post-processing, which knows how each model was trained."""
    from transformers import AutoImageProcessor

    detector = opened(vision_model(kind), features="queries")
    output = library(detector, picture(60, 48))
    processor = AutoImageProcessor.from_pretrained(vision_model(kind), backend="pil")
    (theirs,) = processor.post_process_object_detection(output, threshold=0.0)
    ours = query_scores(output.logits, detector.opened.model.config)[0]
    if kind in ("detr", "yolos"):  # one answer per query
        torch.testing.assert_close(ours, theirs["scores"])
    else:  # the best of queries x classes
        torch.testing.assert_close(ours.max(), theirs["scores"].max())
        own = output.logits[0].sigmoid()
        torch.testing.assert_close(ours, own.max(dim=1).values)


@pytest.mark.parametrize("kind", DETECTORS)
def test_queries_and_boxes_are_those_of_the_library(vision_model: Models, kind: str) -> None:
    detector = opened(vision_model(kind), features="queries", nms=1.0)
    image = picture(64, 50)
    output = library(detector, image)
    (found,) = detector(detector.opened.preprocess([image]))
    order = query_scores(output.logits, detector.opened.model.config)[0].argsort(descending=True, stable=True)
    cx, cy, width, height = output.pred_boxes[0][order].unbind(1)
    boxes = torch.stack([cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2], dim=1).clamp(0, 1)
    visible = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    states = output.last_hidden_state[0, -len(order) :]
    torch.testing.assert_close(found.boxes, boxes[visible])
    torch.testing.assert_close(found.features, states[order][visible])


@pytest.mark.parametrize("kind", ["detr", "rt_detr", "d_fine"])
def test_features_are_pooled_from_the_backbones_last_map(vision_model: Models, kind: str) -> None:
    detector = opened(vision_model(kind), bins=3)
    image = picture(64, 50)
    inputs = detector.opened.preprocess([image])
    (found,) = detector(inputs)
    with torch.inference_mode():
        feature_map = detector.opened.model.model.backbone.model(inputs["pixel_values"]).feature_maps[-1][0]
        scale = torch.tensor([feature_map.shape[2], feature_map.shape[1]] * 2)
        expected = roi_align(feature_map, found.boxes * scale, bins=3).mean(dim=(2, 3))
    assert len(found.features) > 1 and found.features.shape[1] == 24
    torch.testing.assert_close(found.features, expected)


def test_a_padded_batch_says_how_much_is_photo(vision_model: Models) -> None:
    detector = opened(vision_model("detr"))
    inputs = detector.opened.preprocess([picture(96, 50, 1), picture(50, 96, 2)])
    height, width = inputs["pixel_values"].shape[2:]
    assert (height, width) == (96, 96)
    assert valid_shares(inputs) == [pytest.approx((1.0, 50 / 96)), pytest.approx((50 / 96, 1.0))]
    assert "pixel_mask" in detector.opened.inputs(inputs)


def test_boxes_follow_the_photo_not_the_padding(vision_model: Models) -> None:
    """The box 0..1 of a padded photo covers the photo's own cells alone."""
    detector = opened(vision_model("detr"), bins=4)
    map_ = torch.zeros(1, 1, 4, 8)
    map_[..., 4:] = 100.0  # padding
    detector._map = map_
    whole = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    found = detector._regions(0, torch.ones(1), whole, torch.zeros(1, 2), (0.5, 1.0))
    assert found.features.item() < 10  # the last samples lie half a cell from the padding
    found = detector._regions(0, torch.ones(1), whole, torch.zeros(1, 2), (1.0, 1.0))
    assert abs(found.features.item() - 50) < 1


def test_a_model_without_a_mask_sees_photos_one_by_one(vision_model: Models) -> None:
    """YOLOS takes no mask: padding would be part of the picture."""
    detector = opened(vision_model("yolos"), features="queries")
    images = [picture(96, 50, 1), picture(50, 96, 2)]
    together = detector(detector.opened.preprocess(images))
    for image, found in zip(images, together, strict=True):
        (alone,) = detector(detector.opened.preprocess([image]))
        assert_same(found, alone)


def test_top_k_and_min_score_and_nms(vision_model: Models) -> None:
    """Every box of the library, best first, and what each setting leaves of them."""
    image = picture(64, 50)
    detector = opened(vision_model("rt_detr"), nms=1.0)
    inputs, output = detector.opened.preprocess([image]), library(detector, image)
    scores, order = query_scores(output.logits, detector.opened.model.config)[0].sort(descending=True, stable=True)
    (all_,) = detector(inputs)
    torch.testing.assert_close(all_.boxes, corners(output.pred_boxes)[0][order])
    (few,) = opened(vision_model("rt_detr"), nms=1.0, top_k=2)(inputs)
    assert_same(few, Regions(all_.features[:2], all_.boxes[:2]))
    (good,) = opened(vision_model("rt_detr"), nms=1.0, min_score=float(scores[2]))(inputs)
    assert_same(good, Regions(all_.features[:3], all_.boxes[:3]))
    (apart,) = opened(vision_model("rt_detr"), nms=0.01)(inputs)
    assert 1 <= len(apart.boxes) < len(all_.boxes)


def test_a_photo_without_a_box_is_one_region(vision_model: Models) -> None:
    (found,) = (detector := opened(vision_model("rt_detr"), min_score=0.9999))(
        detector.opened.preprocess([picture(64, 50)])
    )
    assert found.boxes.tolist() == [[0.0, 0.0, 1.0, 1.0]] and found.features.shape == (1, 24)


def test_no_map_to_pool_from_is_said(vision_model: Models) -> None:
    with pytest.raises(LgsfError, match=r"yolos.* has no backbone whose map could be pooled: set extract.features"):
        opened(vision_model("yolos"))


def test_mixed_precision_changes_little(vision_model: Models) -> None:
    from lgsf.extract.batches import PhotoBatch
    from lgsf.extract.extract import open_extractor

    found = []
    for precision in ("float32", "bfloat16"):
        settings = {"kind": "regions", "model": str(vision_model("rt_detr")), "nms": 1.0, "precision": precision}
        one, extractor = open_extractor(Extraction.model_validate(settings), CPU)
        (regions,) = extractor(PhotoBatch([], [0], one.preprocess([picture(64, 50)])))
        found.append(regions)
    assert found[1].features.dtype == torch.float32
    assert not torch.equal(found[0].features, found[1].features)
    torch.testing.assert_close(found[0].features.mean(dim=0), found[1].features.mean(dim=0), atol=0.05, rtol=0)
