"""Proposals on hand-drawn pictures."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lgsf.data.scenes.regions import hue, propose

Pixels = npt.NDArray[np.uint8]


def canvas(grey: int = 120, size: int = 160) -> Pixels:
    """Grey with a little grain."""
    grain = np.random.default_rng(0).integers(-6, 7, (size, size, 1))
    return np.broadcast_to(grey + grain, (size, size, 3)).astype(np.uint8)


def paint(pixels: Pixels, box: tuple[int, int, int, int], colour: tuple[int, int, int]) -> None:
    x0, y0, x1, y1 = box
    pixels[y0:y1, x0:x1] = colour


RED, BLUE, GREEN = (220, 30, 30), (40, 80, 230), (40, 180, 50)


def near(box: tuple[int, int, int, int], expected: tuple[int, int, int, int]) -> bool:
    return max(abs(a - b) for a, b in zip(box, expected, strict=True)) <= 1


def test_two_separate_blocks_and_the_background() -> None:
    pixels = canvas()
    paint(pixels, (20, 30, 60, 70), RED)
    paint(pixels, (100, 90, 120, 110), BLUE)
    regions = propose(pixels, 12)
    assert len(regions) == 3
    assert near(regions[0].box, (20, 30, 60, 70))
    assert near(regions[1].box, (100, 90, 120, 110))
    assert regions[2].box == (0, 0, 160, 160)
    assert not regions[2].mask[35:65, 25:55].any()
    assert regions[0].score > regions[1].score > regions[2].score


def test_touching_blocks_of_two_hues_are_two_and_of_one_hue_are_one() -> None:
    pixels = canvas()
    paint(pixels, (20, 30, 50, 60), RED)
    paint(pixels, (50, 30, 80, 60), BLUE)
    boxes = [region.box for region in propose(pixels, 12)]
    assert any(near(box, (20, 30, 50, 60)) for box in boxes)
    assert any(near(box, (50, 30, 80, 60)) for box in boxes)
    paint(pixels, (50, 30, 80, 60), RED)
    assert near(propose(pixels, 12)[0].box, (20, 30, 80, 60))


def test_a_block_within_a_frame_is_a_region_of_its_own() -> None:
    pixels = canvas()
    paint(pixels, (20, 20, 100, 100), GREEN)
    pixels[26:94, 26:94] = canvas()[26:94, 26:94]
    paint(pixels, (50, 50, 70, 70), RED)
    regions = propose(pixels, 12)
    frame = next(region for region in regions if near(region.box, (20, 20, 100, 100)))
    assert any(near(region.box, (50, 50, 70, 70)) for region in regions)
    assert not frame.mask[30:70, 30:70].any()


def test_two_tones_of_one_hue_are_one_object() -> None:
    pixels = canvas()
    for k in range(8):
        tone = RED if k % 2 else tuple(c // 2 for c in RED)
        paint(pixels, (20, 30 + 5 * k, 60, 35 + 5 * k), tone)
    regions = propose(pixels, 12)
    assert len(regions) == 2
    assert near(regions[0].box, (20, 30, 60, 70))


def test_specks_and_grey_things_are_no_objects() -> None:
    pixels = canvas()
    paint(pixels, (20, 20, 23, 23), RED)
    paint(pixels, (60, 60, 90, 90), (230, 230, 230))
    assert [region.box for region in propose(pixels, 12)] == [(0, 0, 160, 160)]


def test_no_more_regions_than_asked_for_and_the_strongest_stay() -> None:
    pixels = canvas()
    for k in range(6):
        side = 10 + 2 * k
        paint(pixels, (5 + 25 * k, 20, 5 + 25 * k + side, 20 + side), BLUE)
    regions = propose(pixels, 4)
    assert len(regions) == 4
    for region, k in zip(regions, (5, 4, 3), strict=False):
        assert near(region.box, (5 + 25 * k, 20, 15 + 27 * k, 30 + 2 * k))
    assert len(propose(pixels, 12)) == 7


def test_a_picture_of_one_colour_has_one_region() -> None:
    for colour in (RED, (120, 120, 120)):
        pixels = np.full((80, 100, 3), colour, np.uint8)
        regions = propose(pixels, 5)
        assert [region.box for region in regions] == [(0, 0, 100, 80)]
        assert regions[0].mask.all()


def test_hue_of_the_pure_colours() -> None:
    pure = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1]], np.float32)
    assert np.allclose(hue(pure), np.arange(6) / 6)
