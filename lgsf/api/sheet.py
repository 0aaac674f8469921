"""Answers as one picture: a line for each question, with the images that were found for it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from lgsf.gallery.pictures import open_picture

GAP, TEXT = 8, 13  # pixels between images; height of the letters
PAPER, INK, RIGHT = "white", "#222222", "#1a7f37"


@dataclass(frozen=True)
class Answer:
    """A question, the pictures of its answers, best first, and the place of the right one where it is known."""

    question: str
    pictures: Sequence[Path]
    right: int | None = None


def sheet(answers: Sequence[Answer], *, size: int) -> Image.Image:
    """All answers below each other; every picture fits a square of `size` pixels, the right one has a green frame.

    Raises LgsfError for a file that is no picture.
    """
    columns = max((len(answer.pictures) for answer in answers), default=0)
    width = GAP + max(columns, 3) * (size + GAP)
    font = ImageFont.load_default(TEXT)
    blocks = [(answer, textwrap.wrap(answer.question, max(width // (TEXT // 2), 12)) or [""]) for answer in answers]
    height = GAP + sum(len(lines) * (TEXT + 4) + 2 + size + 2 * GAP for _, lines in blocks)
    page = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(page)
    top = GAP
    for answer, lines in blocks:
        for line in lines:
            pen.text((GAP, top), line, fill=INK, font=font)
            top += TEXT + 4
        top += 2
        for place, file in enumerate(answer.pictures):
            small = open_picture(file, size)
            left = GAP + place * (size + GAP)
            page.paste(small, (left, top))
            if place == answer.right:
                pen.rectangle(
                    (left - 3, top - 3, left + small.width + 2, top + small.height + 2), outline=RIGHT, width=3
                )
        top += size + 2 * GAP
    return page
