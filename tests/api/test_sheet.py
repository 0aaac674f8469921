"""The picture of answers: every line has its question and images, and the right one its frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lgsf.api.sheet import GAP, RIGHT, Answer, sheet
from lgsf.system.errors import LgsfError


@pytest.fixture
def squares(tmp_path: Path) -> list[Path]:
    """Three pictures of one colour each, twice as wide as high."""
    paths = []
    for name, colour in (("red", "#ff0000"), ("lime", "#00ff00"), ("blue", "#0000ff")):
        paths.append(tmp_path / f"{name}.png")
        Image.new("RGB", (200, 100), colour).save(paths[-1])
    return paths


def areas(page: Image.Image) -> list[int]:
    """Pixels of red, lime and blue, and of the frame."""
    pixels = np.asarray(page).reshape(-1, 3)
    frame = tuple(bytes.fromhex(RIGHT[1:]))
    return [int((pixels == colour).all(1).sum()) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255), frame)]


def test_pictures_stand_beside_each_other_and_the_right_one_is_framed(squares: list[Path]) -> None:
    page = sheet([Answer("which?", squares, right=1), Answer("and?", squares[2:])], size=80)
    assert page.width == GAP + 3 * (80 + GAP)
    red, lime, blue, frame = areas(page)
    assert (red, lime, blue) == (80 * 40, 80 * 40, 2 * 80 * 40)
    assert frame == 86 * 46 - 80 * 40
    left = np.asarray(page)[:, : 2 * GAP + 80]
    assert (left == (255, 0, 0)).all(2).sum() == red  # the first answer stands first


def test_without_a_right_one_there_is_no_frame_and_long_questions_are_broken(squares: list[Path]) -> None:
    short, long = (sheet([Answer(text, squares)], size=80) for text in ("a", "a long question " * 9))
    assert areas(short)[3] == 0 and short.width == long.width and long.height > short.height
    assert sheet([], size=80).height == GAP


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(LgsfError, match=r"text\.png cannot be read as a picture"):
        sheet([Answer("which?", [tmp_path / "text.png"])], size=80)
