"""Drawing: same bytes each time, colours that can be told, exact visibility."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

from lgsf.data.scenes.graph import BACKGROUNDS, draw_pair
from lgsf.data.scenes.pictures import draw
from lgsf.data.scenes.variety import COLOURS, FILLS, KINDS, SHAPES
from tests.support.scene_builders import item, scene


def test_the_same_scene_gives_the_same_bytes_and_another_grain_does_not() -> None:
    own, twin = draw_pair(np.random.default_rng(0), KINDS[1]).scenes
    first = draw(own, 160).pixels
    assert first.dtype == np.uint8
    assert first.shape == (160, 160, 3)
    assert first.tobytes() == draw(own, 160).pixels.tobytes()
    assert first.tobytes() != draw(twin, 160).pixels.tobytes()


def test_an_object_lies_where_the_graph_says() -> None:
    picture = draw(scene(item("circle", "red", 0.25, 0.75, radius=0.1)), 200)
    rows, columns = np.nonzero(picture.visible[0])
    assert abs(columns.mean() + 0.5 - 50) < 0.5
    assert abs(rows.mean() + 0.5 - 150) < 0.5
    assert abs(columns.max() - columns.min() + 1 - 40) <= 1
    assert abs(picture.visible[0].sum() - np.pi * 20**2) < 40
    assert picture.shares == (1.0,)


def test_the_object_in_front_hides_the_one_behind() -> None:
    behind, front = item("square", "red", 0.5, 0.5, radius=0.1), item("square", "blue", 0.57, 0.5, radius=0.1)
    picture = draw(scene(behind, front), 200)
    assert picture.shares[1] == 1.0
    assert not (picture.visible[0] & picture.visible[1]).any()
    # Two squares of half side s = 0.0707, shifted by 0.07: half of the one behind is left.
    assert picture.shares[0] == pytest.approx(0.07 / (2 * 0.1 / 2**0.5), abs=0.05)


def test_something_behind_an_outlined_object_is_seen_through_it() -> None:
    behind = item("circle", "red", radius=0.05)
    front = item("circle", "blue", size="large", fill="outlined", radius=0.13)
    picture = draw(scene(behind, front), 200)
    assert picture.shares == (1.0, 1.0)
    solid = draw(scene(behind, item("circle", "blue", size="large", radius=0.13)), 200)
    assert solid.shares == (0.0, 1.0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("fill", FILLS)
def test_every_shape_and_fill_stays_within_its_circle_and_reaches_its_rim(shape: str, fill: str) -> None:
    picture = draw(scene(item(shape, "green", fill=fill, radius=0.1)), 200)
    rows, columns = np.nonzero(picture.visible[0])
    reach = np.hypot(rows + 0.5 - 100, columns + 0.5 - 100).max()
    assert 17 <= reach <= 21
    if fill == "outlined":
        whole = draw(scene(item(shape, "green", radius=0.1)), 200).visible[0]
        assert picture.visible[0].sum() < 0.85 * whole.sum()


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_objects_are_colourful_and_backgrounds_are_not(background: str) -> None:
    picture = draw(scene(item(radius=0.1), background=background, noise=6.0), 200)
    spread = np.ptp(picture.pixels.astype(int), axis=2)
    assert spread[picture.visible[0]].mean() > 100
    assert np.percentile(spread[:60], 99) < 40


def test_the_eight_colours_have_eight_hues() -> None:
    hues = []
    for colour in COLOURS:
        picture = draw(scene(item("square", colour, radius=0.1), noise=0.0), 200)
        red, green, blue = picture.pixels[picture.visible[0]].mean(axis=0) / 255
        hues.append(colorsys.rgb_to_hsv(red, green, blue)[0] * 360)
    gaps = np.diff(np.sort([*hues, min(hues) + 360]))
    assert gaps.min() > 20
