"""Boxes carry the weights they should, and the words beside them say the same."""

from __future__ import annotations

import pytest

from lgsf.gallery.album import ImageEntry, Question, View
from lgsf.gallery.looks import LINES, looks_of
from lgsf.gallery.pictures import Thumbnail

BOXES = [(0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 0.5, 0.5), (0.5, 0.5, 1.0, 1.0)]
IMAGE = ImageEntry(id="7", captions=["a dog"], picture=Thumbnail(data="", width=160, height=80), boxes=BOXES)


def look(**facts: object) -> list[object]:
    view = View(method="m", title="M", seed=0, score=0.5, **{"effect": [], **facts})  # type: ignore[arg-type]
    question = Question(direction="i2t", row=7, image=7, caption=35, answers=[], views=[view])
    return list(looks_of(question, IMAGE, "a dog"))


def test_effects_are_scaled_to_the_strongest_and_signed() -> None:
    (effect,) = look(effect=[0.1, -0.2, 0.4])
    (drawing,) = effect.drawings  # type: ignore[attr-defined]
    assert (drawing.width, drawing.height, drawing.scale) == (320, 160, 2)
    weak, against, strong = drawing.boxes
    assert (weak.strength, weak.css, weak.hint) == (0.25, "for wide", "-0.100")
    assert (against.strength, against.css) == (0.5, "against")
    assert (strong.strength, strong.css) == (1.0, "for")
    assert (strong.x, strong.y, strong.width, strong.height) == (160, 80, 160, 80)
    assert "at the bottom right it falls by 0.400" in drawing.label


def test_graph_attention_shows_who_is_heard_and_who_listens() -> None:
    (graph,) = look(region_region=[[0.6, 0.2, 0.2], [0.1, 0.1, 0.8], [0.2, 0.2, 0.6]])
    heard, listening = graph.drawings  # type: ignore[attr-defined]
    assert [box.hint for box in heard.boxes] == ["16.7 %", "30.0 %", "53.3 %"]
    assert "53 % where equal shares would be 33 %" in heard.label
    assert "top left takes 10 % from itself and 80 % from the region at the bottom right" in listening.label
    assert [line.width for line in listening.lines] == [4.0, pytest.approx(0.6 + 3.4 / 8, abs=0.01)]
    assert (listening.lines[0].x1, listening.lines[0].y1) == (240, 120)
    assert (listening.lines[0].x2, listening.lines[0].y2) == (80, 40)
    assert len(listening.lines) <= LINES
    assert sum(box.css == "marked" for box in listening.boxes) == 1


def test_words_that_choose_are_drawn_in_their_order() -> None:
    words = ["<start>", "a", "dog", "on", "the", "red", "mat", ".", "<end>"]
    even, sure = [1 / 3] * 3, [0.1, 0.8, 0.1]
    table = [sure, even, sure, [0.3, 0.3, 0.4], [0.4, 0.3, 0.3], [0.0, 0.0, 1.0], sure, sure, sure]
    (spoken,) = look(words=words, word_region=table)
    assert [d.title for d in spoken.drawings] == ["“dog”", "“on”", "“the”", "“red”", "“mat”"]  # type: ignore[attr-defined]
    assert "“dog” goes to the region at the top left with 80 %" in spoken.drawings[0].label  # type: ignore[attr-defined]
    table = [[0.1, 0.1, 0.7, 0.1], [0.3, 0.2, 0.1, 0.4], [0.2, 0.2, 0.4, 0.2]]
    (turned,) = look(words=["<start>", "a", "dog", "<end>"], region_word=table)
    assert [d.title for d in turned.drawings] == ["“a”", "“dog”"]  # type: ignore[attr-defined]
    assert "“dog” goes to the region in the middle with 70 %" in turned.drawings[1].label  # type: ignore[attr-defined]


def test_nothing_known_gives_nothing() -> None:
    assert look() == []
    assert look(effect=[0.1]) == []  # of another number of regions than the picture has boxes
