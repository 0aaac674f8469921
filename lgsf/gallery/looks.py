"""What a method looked at, as boxes on a picture: the weight of a region is how strongly its box is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lgsf.gallery.album import ImageEntry, Question, View

WORDS = 5  # words of a caption that are drawn: those that choose most between regions
UNIT = 320.0  # drawing units of the longest side
WIDE = 0.4  # share of the picture above which a box is an outline alone
LINES = 6  # lines from a region to those it listens to
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Box:
    """A region in drawing units; `strength` in 0..1, `css` its kind, `hint` its value in words."""

    x: float
    y: float
    width: float
    height: float
    strength: float
    css: str
    hint: str


@dataclass(frozen=True)
class Line:
    """From the middle of one region to that of another."""

    x1: float
    y1: float
    x2: float
    y2: float
    width: float


@dataclass(frozen=True)
class Drawing:
    """Boxes on a picture (row `image` of the album, enlarged by `scale`) under a title; `label` says it in words."""

    title: str
    image: int
    scale: float
    width: float
    height: float
    label: str
    boxes: list[Box]
    lines: list[Line]


@dataclass(frozen=True)
class Look:
    """The drawings of one kind and what they mean."""

    title: str
    meaning: str
    drawings: list[Drawing]


def looks_of(question: Question, image: ImageEntry, caption: str) -> list[Look]:
    """All looks that the album knows for a question whose image has a picture and boxes."""
    frame = _Frame(question.image, image)
    looks = []
    effects = [frame.effect(view) for view in question.views if len(view.effect) == len(image.boxes)]
    if effects:
        looks.append(
            Look(
                f"Regions that the score with “{caption}” rests on",
                "Each region is taken away in turn. Solid boxes: the score falls without the region; dashed boxes: "
                "it rises. The strongest box of a picture is drawn in full.",
                effects,
            )
        )
    for view in question.views:
        if view.region_region:
            looks.append(
                Look(
                    f"Graph attention of {view.title}, seed {view.seed}",
                    "Left: how much a region is heard, mean over all regions, heads and layers. Right: the region "
                    "that listens most selectively, and what it listens to. The block's learned gains decide how "
                    "far this moves the embedding.",
                    [frame.heard(view), frame.listening(view)],
                )
            )
        if view.word_region or view.region_word:
            looks.append(
                Look(
                    f"Words and regions of {view.title}, seed {view.seed}",
                    "How a word's attention is shared among the regions; the words that choose most are drawn."
                    if view.word_region
                    else "How much of each region's attention goes to a word; the words that differ most over "
                    "the regions are drawn.",
                    frame.words(view),
                )
            )
    return looks


class _Frame:
    """A picture and its regions in drawing units."""

    def __init__(self, row: int, image: ImageEntry) -> None:
        assert image.picture is not None
        scale = UNIT / max(image.picture.width, image.picture.height)
        self._row, self._id, self._scale = row, image.id, round(scale, 4)
        self._size = (image.picture.width * scale, image.picture.height * scale)
        self._boxes = np.array(image.boxes) * np.tile(self._size, 2)

    def effect(self, view: View) -> Drawing:
        """What the score loses with each region."""
        values = np.array(view.effect)
        top = int(values.argmax())
        falls = f"Without the region {self._place(top)} it falls by {values[top]:.3f}, the most."
        if values[top] <= 0:
            falls = "No region on its own raises it."
        return self._drawing(
            f"{view.title}, score {view.score:.2f}", values, falls, [f"{value:+.3f}" for value in -values]
        )

    def heard(self, view: View) -> Drawing:
        """Mean attention that each region receives."""
        values = np.array(view.region_region).mean(axis=0)
        top = int(values.argmax())
        words = (
            f"The region {self._place(top)} is heard most: {100 * values[top]:.0f} % where equal shares would be "
            f"{100 / len(values):.0f} %."
        )
        return self._drawing("heard by all", values, words, [f"{100 * value:.1f} %" for value in values])

    def listening(self, view: View) -> Drawing:
        """The row of the region with the largest single share in another region."""
        attention = np.array(view.region_region)
        others = np.where(np.eye(len(attention), dtype=bool), -1.0, attention)
        listener = int(others.max(axis=1).argmax())
        values = attention[listener]
        order = [j for j in np.argsort(-values, kind="stable") if j != listener][:LINES]
        drawing = self._drawing(
            "one region listens",
            values,
            f"The region {self._place(listener)} takes {100 * values[listener]:.0f} % from itself"
            + (f" and {100 * values[order[0]]:.0f} % from the region {self._place(order[0])}." if order else "."),
            [f"{100 * value:.1f} %" for value in values],
            marked=listener,
        )
        largest = max(float(values[order[0]]), 1e-9) if order else 1.0
        x, y = self._middle(listener)
        lines = [Line(*self._middle(j), x, y, round(0.6 + 3.4 * float(values[j]) / largest, 2)) for j in order]
        return Drawing(**{**vars(drawing), "lines": lines})

    def words(self, view: View) -> list[Drawing]:
        """The words whose attention is the most selective, in the order of the caption."""
        table = np.array(view.word_region) if view.word_region else np.array(view.region_word).T
        # The first and the last token frame the caption.
        spoken = [k for k in range(1, len(view.words) - 1) if any(c.isalnum() for c in view.words[k])]
        chosen = sorted(sorted(spoken, key=lambda k: (-np.ptp(table[k]), k))[:WORDS])
        drawings = []
        for k in chosen:
            top = int(table[k].argmax())
            words = f"“{view.words[k]}” goes to the region {self._place(top)} with {100 * table[k, top]:.0f} %."
            hints = [f"{100 * value:.1f} %" for value in table[k]]
            drawings.append(self._drawing(f"“{view.words[k]}”", table[k], words, hints))
        return drawings

    def _drawing(self, title: str, values: Floats, words: str, hints: list[str], marked: int | None = None) -> Drawing:
        largest = max(float(np.abs(values).max()), 1e-12)
        boxes = []
        for k in np.argsort(np.abs(values), kind="stable"):  # the strongest on top
            x0, y0, x1, y1 = (round(float(v), 1) for v in self._boxes[k])
            css = "marked" if k == marked else "against" if values[k] < 0 else "for"
            if (x1 - x0) * (y1 - y0) > WIDE * self._size[0] * self._size[1]:
                css += " wide"
            strength = 1.0 if k == marked else round(float(abs(values[k])) / largest, 3)
            boxes.append(Box(x0, y0, round(x1 - x0, 1), round(y1 - y0, 1), strength, css, hints[k]))
        width, height = (round(side, 1) for side in self._size)
        label = f"Regions of picture {self._id}. {words}"
        return Drawing(title, self._row, self._scale, width, height, label, boxes, [])

    def _middle(self, k: int) -> tuple[float, float]:
        x0, y0, x1, y1 = self._boxes[k]
        return round(float(x0 + x1) / 2, 1), round(float(y0 + y1) / 2, 1)

    def _place(self, k: int) -> str:
        """Where a region lies, in words."""
        x, y = self._middle(k)
        column = ("left", "middle", "right")[min(2, int(3 * x / self._size[0]))]
        row = ("top", "centre", "bottom")[min(2, int(3 * y / self._size[1]))]
        return f"at the {row} {column}" if (column, row) != ("middle", "centre") else "in the middle"
