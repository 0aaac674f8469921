"""Captions: true of their picture, false of the twin where they should be, of visible objects, well worded."""

from __future__ import annotations

import re

import numpy as np
import pytest

from lgsf.data.scenes.captions import CAPTIONS, SEEN, Caption, caption_scene, word
from lgsf.data.scenes.graph import Scene, draw_pair
from lgsf.data.scenes.statements import Mention, SceneTable, Statement
from lgsf.data.scenes.variety import FULL, KINDS, RELATIONS
from tests.support.scene_builders import item, scene


@pytest.fixture(scope="module")
def captioned() -> list[tuple[Scene, Scene, list[Caption]]]:
    """(scene, twin, captions) of random scenes in which all is visible."""
    rng = np.random.default_rng(4)
    found = []
    for k in range(60):
        pair = draw_pair(rng, KINDS[k % 2])
        for own, drawn in enumerate(pair.scenes):
            twin = pair.scenes[1 - own]
            made = caption_scene(rng, drawn, twin, roles=pair.roles, shares=[1.0] * len(drawn.objects))
            if made is not None:
                found.append((drawn, twin, made))
    assert len(found) > 100
    return found


def test_five_different_captions_true_of_their_own_scene(captioned: list[tuple[Scene, Scene, list[Caption]]]) -> None:
    for drawn, twin, captions in captioned:
        table = SceneTable([drawn, twin])
        truths = np.array([table.truth(caption.statement) for caption in captions])
        assert truths[:, 0].all()
        assert (~truths[:, 1]).sum() >= FULL.focused
        assert len({caption.statement for caption in captions}) == CAPTIONS


def test_captions_speak_of_attributes_counts_and_every_relation(
    captioned: list[tuple[Scene, Scene, list[Caption]]],
) -> None:
    statements = [caption.statement for _, _, captions in captioned for caption in captions]
    assert {name for s in statements for _, name, _ in s.relations} == set(RELATIONS)
    assert {count for s in statements for _, count in s.counts} >= {1, 2, 3}
    said = [m for s in statements for m in s.mentions]
    for name in ("shape", "colour", "size", "fill"):
        values = {getattr(m, name) for m in said}
        assert None in values
        assert len(values) > 2


def test_hidden_objects_are_not_mentioned_and_not_counted() -> None:
    rng = np.random.default_rng(8)
    checked = 0
    for k in range(80):
        pair = draw_pair(rng, KINDS[k % 2])
        drawn, twin = pair.scenes
        hidden = [i for i in range(len(drawn.objects)) if i not in pair.roles][:1]
        if not hidden:
            continue
        shares = [SEEN - 0.01 if i in hidden else SEEN for i in range(len(drawn.objects))]
        for caption in caption_scene(rng, drawn, twin, roles=pair.roles, shares=shares) or ():
            assert not set(hidden) & set(caption.objects)
            visible = [o for i, o in enumerate(drawn.objects) if i not in hidden]
            for mention, count in caption.statement.counts:
                assert sum(mention.fits(o) for o in visible) == count
            assert all(any(m.fits(o) for o in visible) for m in caption.statement.mentions)
            checked += 1
    assert checked > 100


def test_a_scene_that_shows_too_little_gets_no_captions() -> None:
    pair = draw_pair(np.random.default_rng(0), "relation_twin")
    shares = [0.0] * len(pair.scenes[0].objects)
    rng = np.random.default_rng(0)
    assert caption_scene(rng, *pair.scenes, roles=pair.roles, shares=shares) is None


def test_left_of_is_said_only_where_it_is_plain() -> None:
    """The centres differ by 0.08 along x: true, but nobody would say it; by 0.4 along y: below."""
    drawn = scene(item("circle", "red", 0.50, 0.7), item("star", "blue", 0.58, 0.3))
    twin = scene(item("circle", "red", 0.58, 0.3), item("star", "blue", 0.50, 0.7))
    assert SceneTable([drawn]).truth(Statement((Mention(colour="red"), Mention(colour="blue")), ((0, "left_of", 1),)))[
        0
    ]
    said = set()
    for seed in range(40):
        made = caption_scene(np.random.default_rng(seed), drawn, twin, roles=(0, 1), shares=(1.0, 1.0))
        said |= {name for caption in made or () for _, name, _ in caption.statement.relations}
    assert said == {"above", "below"}


def wordings(statement: Statement) -> set[str]:
    return {word(np.random.default_rng(seed), statement) for seed in range(400)}


def test_a_relation_is_worded_in_many_ways_and_never_the_wrong_way_round() -> None:
    red, blue = Mention(shape="circle", colour="red"), Mention(shape="star", colour="orange")
    texts = wordings(Statement((red, blue), ((0, "left_of", 1),)))
    assert len(texts) >= 10
    assert "A red circle is left of an orange star." in texts
    assert "To the left of an orange star there is a red circle." in texts
    for text in texts:
        # Whatever comes right after "left of" is the reference, never the subject.
        assert re.search(r"left of an orange star", text, re.IGNORECASE), text


def test_counts_agree_in_number() -> None:
    crosses = wordings(Statement(counts=((Mention(shape="cross", colour="blue"), 3),)))
    assert "There are three blue crosses." in crosses
    assert all("three blue crosses" in text.lower() for text in crosses)
    assert wordings(Statement(counts=((Mention(shape="heart"), 1),))) == {"Only one heart.", "There is only one heart."}


def test_nothing_is_said_that_the_statement_leaves_open() -> None:
    for text in wordings(Statement((Mention(colour="green"), Mention(size="small", fill="striped")))):
        assert not re.search(r"circle|square|triangle|star\b|cross|heart|large|big|solid", text.lower()), text
        assert re.search(r"\ba green (shape|object)\b", text.lower()), text
        assert re.search(r"\ba (small|little) striped (shape|object)\b", text.lower()), text
