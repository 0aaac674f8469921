"""ECCV Caption and CxC on COCO's 5K test split: ids, captions and numbers against the package's own code."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lgsf.data import coco_positives
from lgsf.data.coco_positives import NOT_COCO, coco_rows
from lgsf.data.layout import Split
from lgsf.data.positives import positives_of
from lgsf.metrics.ranking import Watcher
from lgsf.metrics.relevance import RelevanceRanks, measures

pytest.importorskip("eccv_caption")
SPEC = importlib.util.find_spec("eccv_caption")
DATA = Path(SPEC.submodule_search_locations[0]) / "data"
FIELD = np.load(DATA / "coco_test_ids.npy")


def split(image_ids, caption_ids, caption_image, texts) -> Split:
    """What coco_rows looks at; there are no regions."""
    captions = pd.DataFrame({"caption_id": caption_ids, "image": caption_image, "text": texts})
    return Split("test", None, None, None, pd.DataFrame({"image_id": image_ids}), captions, None, None)


@pytest.fixture(scope="module")
def image_ids() -> list[int]:
    owner = coco_positives._read(DATA / "original_caption_to_image.json")
    return [int(owner[str(caption)][0]) for caption in FIELD[::5]]


@pytest.fixture(scope="module")
def texts(shared_path: Path) -> list[str]:
    return (shared_path / "data/coco_text/testall_caps.txt").read_text("utf-8").splitlines()


FIELD_ORDER = np.repeat(np.arange(5000), 5)
PLACES = [f"{image}#{k}" for image in range(5000) for k in range(5)]


def test_ids_of_captions_are_enough(image_ids: list[int]) -> None:
    order = np.random.default_rng(0).permutation(25_000)
    rows = coco_rows(split([f"x{i}" for i in range(5000)], FIELD[order].astype(str), FIELD_ORDER[order], ["?"] * 25_000))  # fmt: skip
    assert rows.image[image_ids[7]] == 7
    assert rows.caption[int(FIELD[order[123]])] == 123


def test_captions_under_the_wrong_image_are_refused() -> None:
    mixed = FIELD_ORDER.copy()
    mixed[[0, 5]] = mixed[[5, 0]]
    rows = coco_rows(split(range(5000), FIELD.astype(str), mixed, ["?"] * 25_000))
    assert rows == f"{NOT_COCO} (captions of one COCO image belong to several images of the split)"


def test_other_sizes_and_other_texts_are_not_coco(image_ids: list[int]) -> None:
    assert coco_rows(split([1], ["1"], [0], ["a"])) == NOT_COCO
    assert coco_rows(split(image_ids, PLACES, FIELD_ORDER, ["a dog"] * 25_000)) == NOT_COCO


def test_without_the_package_the_reason_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coco_positives, "PACKAGE", "a_package_that_nobody_has")
    reason = coco_rows(split(range(5000), FIELD.astype(str), FIELD_ORDER, ["?"] * 25_000))
    assert "eccv-caption is not installed" in reason and "extra 'eccv'" in reason


@pytest.mark.shared
@pytest.mark.parametrize("form", ["{}", "COCO_val2014_{:012d}.jpg", "val2014/COCO_val2014_{:012d}.jpg", "{:012d}.jpg", "row"])  # fmt: skip
def test_images_ids_and_the_fields_texts(image_ids: list[int], texts: list[str], form: str) -> None:
    """The forms of image ids that packs use, images in another order; row numbers need the field's own order."""
    order = np.arange(5000) if form == "row" else np.random.default_rng(1).permutation(5000)
    names = [str(row) if form == "row" else form.format(image_ids[row]) for row in order]
    said = [texts[5 * row + k].lower().replace(" .", "") for row in order for k in range(5)]
    rows = coco_rows(split(names, PLACES, FIELD_ORDER, said))
    assert rows.image[image_ids[order[3]]] == 3
    assert rows.caption[int(FIELD[5 * order[3] + 2])] == 17


@pytest.mark.shared
def test_captions_of_an_image_in_another_order_are_refused(image_ids: list[int], texts: list[str]) -> None:
    swapped = [texts[1], texts[0], *texts[2:]]
    assert coco_rows(split(image_ids, PLACES, FIELD_ORDER, swapped)) == NOT_COCO


@pytest.mark.slow
def test_equals_the_package_at_full_size(image_ids: list[int]) -> None:
    """Made-up scores of 5,000 x 25,000, a low-rank product in blocks, against the package's compute_all_metrics."""
    from eccv_caption import Metrics

    rng = np.random.default_rng(0)
    images = rng.standard_normal((5000, 24), np.float32)
    captions = (np.repeat(images, 5, axis=0) + 1.2 * rng.standard_normal((25_000, 24), np.float32)).T.copy()
    found, absent = positives_of(split(image_ids, FIELD.astype(str), FIELD_ORDER, ["?"] * 25_000), Path("none"))
    assert set(found) == {"eccv", "cxc"} and set(absent) == {"true"}
    watcher: Watcher = RelevanceRanks(found, (5000, 25_000))
    blocks = [(first, images[first : first + 128] @ captions) for first in range(0, 5000, 128)]
    for first, block in blocks:
        watcher.first(first, block)
    for first, block in blocks:
        watcher.second(first, block)
    arrays = watcher.arrays()

    scores = np.concatenate([block for _, block in blocks])
    i2t = {image: FIELD[np.argsort(-row)[:400]].tolist() for image, row in zip(image_ids, scores, strict=True)}
    ids = np.array(image_ids)
    t2i = {int(c): ids[np.argsort(-column)[:100]].tolist() for c, column in zip(FIELD, scores.T, strict=True)}
    wanted = ["cxc_recalls", "eccv_map_at_r", "eccv_rprecision", "eccv_r1"]
    theirs = Metrics().compute_all_metrics(i2t, t2i, target_metrics=wanted, Ks=(1, 5, 10))
    assert scores[0].max() > 0 and 0.05 < theirs["eccv_r1"]["t2i"] < 0.95  # neither chance nor perfect
    for direction in ("i2t", "t2i"):
        eccv, cxc = (
            measures(arrays[f"{name}_{direction}_query"], arrays[f"{name}_{direction}_rank"])
            for name in ("eccv", "cxc")
        )
        for ours, name in (("map_at_r", "eccv_map_at_r"), ("r_precision", "eccv_rprecision"), ("r1", "eccv_r1")):
            assert eccv[ours] == pytest.approx(100 * theirs[name][direction], abs=1e-6)
        for k in (1, 5, 10):
            assert cxc[f"r{k}"] == pytest.approx(100 * theirs[f"cxc_r{k}"][direction], abs=1e-6)
