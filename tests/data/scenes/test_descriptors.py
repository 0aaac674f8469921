"""Descriptors of regions: finite, invariant where they should be, telling where they must be."""

from __future__ import annotations

import numpy as np
import pytest

from lgsf.data.scenes.descriptors import POSITION, Standardiser, columns, describe
from lgsf.data.scenes.graph import Scene
from lgsf.data.scenes.pictures import draw
from lgsf.data.scenes.regions import Region, propose
from tests.support.scene_builders import item, scene

NAMES = columns(position=True)


def first_region(drawn: Scene, size: int = 192) -> dict[str, float]:
    """The descriptor of the most confident region, by column name."""
    pixels = draw(drawn, size).pixels
    values = describe(pixels, propose(pixels, 12)[0], position=True)
    return dict(zip(NAMES, values.tolist(), strict=True))


def test_without_position_exactly_the_position_columns_are_missing() -> None:
    pixels = draw(scene(item(radius=0.1)), 160).pixels
    region = propose(pixels, 12)[0]
    with_position, without = (describe(pixels, region, position=choice) for choice in (True, False))
    assert columns(position=True) == (*columns(position=False), *POSITION)
    assert without.dtype == np.float32
    assert 64 <= len(without) <= 128
    assert (with_position[: -len(POSITION)] == without).all()


def test_position_columns_are_the_box_in_shares_of_the_picture() -> None:
    pixels = np.zeros((100, 200, 3), np.uint8)
    values = describe(pixels, Region((20, 30, 60, 80), np.ones((50, 40), bool), 1.0), position=True)
    assert np.allclose(values[-8:], [0.1, 0.3, 0.3, 0.8, 0.2, 0.55, 0.2, 0.5])


def test_moving_an_object_changes_its_position_columns_alone() -> None:
    """By whole pixels on a plain ground without grain nothing else may differ."""
    pixels = np.full((160, 160, 3), 90, np.uint8)
    moved = pixels.copy()
    pixels[20:40, 30:55] = moved[60:80, 70:95] = (220, 40, 30)
    a, b = (describe(p, propose(p, 12)[0], position=True) for p in (pixels, moved))
    assert (a[: -len(POSITION)] == b[: -len(POSITION)]).all()
    assert np.allclose((b - a)[-8:], [0.25] * 6 + [0, 0])


def test_a_square_is_described_by_hand() -> None:
    pixels = np.full((160, 160, 3), 90, np.uint8)
    pixels[40:60, 40:60] = (255, 0, 0)
    box = (40, 40, 60, 60)
    values = describe(pixels, Region(box, np.ones((20, 20), bool), 1.0), position=True)
    named = dict(zip(NAMES, values.tolist(), strict=True))
    assert (named["mean_red"], named["mean_green"], named["sd_red"]) == (1.0, 0.0, 0.0)
    assert named["hue_0"] == 1.0
    assert named["extent"] == named["solidity"] == 1.0
    assert named["hole_share"] == named["aspect"] == named["elongation"] == 0.0
    assert named["moment_20"] == pytest.approx((20**2 - 1) / 12 / 400)
    assert named["side"] == pytest.approx(20 / 160)


def test_descriptors_tell_fills_apart() -> None:
    by_fill = {
        fill: first_region(scene(item("square", "green", size="large", fill=fill, radius=0.1)))
        for fill in ("solid", "striped", "dotted", "outlined")
    }
    assert (
        by_fill["outlined"]["hole_share"]
        > 0.2
        > max(by_fill[fill]["hole_share"] for fill in ("solid", "striped", "dotted"))
    )
    assert by_fill["striped"]["dark_share"] > 0.3 > by_fill["solid"]["dark_share"]
    edges = {
        fill: [v for k, v in by_fill[fill].items() if k[5:].isdigit() and k.startswith("edge")] for fill in by_fill
    }
    # Stripes have one direction, spots have all.
    assert max(edges["striped"]) > 2 * max(edges["dotted"])


def test_descriptors_tell_shapes_apart() -> None:
    by_shape = {
        shape: first_region(scene(item(shape, "blue", size="large", radius=0.1)))
        for shape in ("circle", "square", "triangle", "star", "cross")
    }
    assert by_shape["star"]["solidity"] < 0.75 < by_shape["triangle"]["solidity"]
    for shape, harmonic in (("triangle", 3), ("square", 4), ("cross", 4), ("star", 5)):
        spectrum = [by_shape[shape][f"harmonic_{k}"] for k in range(2, 7)]
        assert int(np.argmax(spectrum)) + 2 == harmonic
        assert max(spectrum) > 3 * max(by_shape["circle"][f"harmonic_{k}"] for k in range(2, 7))


@pytest.mark.parametrize("mask", [np.ones((1, 1), bool), np.ones((1, 60), bool), np.eye(90, dtype=bool)])
def test_degenerate_regions_have_finite_descriptors(mask: np.ndarray) -> None:
    height, width = mask.shape
    pixels = np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    values = describe(pixels, Region((3, 5, 3 + width, 5 + height), mask, 1.0), position=True)
    assert np.isfinite(values).all()
    assert np.isfinite(describe(pixels * 0, Region((3, 5, 3 + width, 5 + height), mask, 1.0), position=True)).all()


def test_standardised_training_columns_have_mean_0_and_deviation_1() -> None:
    rng = np.random.default_rng(0)
    pictures = [list(rng.normal(3, 2, (k % 4 + 1, 5)).astype(np.float32)) for k in range(50)]
    for rows in pictures:
        for row in rows:
            row[4] = 7.0  # a column that never changes
    standardise = Standardiser.fit(pictures)
    table = standardise(np.stack([row for rows in pictures for row in rows]))
    assert table.dtype == np.float32
    assert np.allclose(table.mean(axis=0), 0, atol=1e-5)
    assert np.allclose(table.std(axis=0), [1, 1, 1, 1, 0], atol=1e-5)
    assert np.abs(standardise(np.full((1, 5), 1e9, np.float32))).max() == 8.0
