"""Truth of statements: by hand, and against a naive checker that tries every choice of objects."""

from __future__ import annotations

import json
import math
from itertools import permutations

import numpy as np

from lgsf.data.scenes.captions import caption_scene
from lgsf.data.scenes.graph import HOLLOW, Scene, SceneObject, draw_pair
from lgsf.data.scenes.statements import (
    Mention,
    SceneTable,
    Statement,
    statement_as_json,
    statement_from_json,
    true_pairs,
)
from lgsf.data.scenes.variety import KINDS
from tests.support.scene_builders import item, scene


def fits(mention: Mention, candidate: SceneObject) -> bool:
    said = [(mention.shape, candidate.shape), (mention.colour, candidate.colour)]
    said += [(mention.size, candidate.size), (mention.fill, candidate.fill)]
    return all(word is None or word == value for word, value in said)


def stands(a: SceneObject, relation: str, b: SceneObject) -> bool:
    """The relations once more, for two objects and without arrays."""
    distance = math.dist((a.x, a.y), (b.x, b.y))

    def within(inner: SceneObject, outer: SceneObject) -> bool:
        return distance + inner.radius <= HOLLOW.get(outer.shape, 0.0) * outer.radius

    if relation == "inside":
        return within(a, b)
    if within(a, b) or within(b, a):
        return False
    if relation == "next_to":
        return distance - a.radius - b.radius <= 0.045
    return {
        "left_of": b.x - a.x,
        "right_of": a.x - b.x,
        "above": b.y - a.y,
        "below": a.y - b.y,
    }[relation] >= 0.06


def naive_truth(statement: Statement, drawn: Scene) -> bool:
    for mention, count in statement.counts:
        if sum(fits(mention, o) for o in drawn.objects) != count:
            return False
    return any(
        all(fits(m, o) for m, o in zip(statement.mentions, chosen, strict=True))
        and all(stands(chosen[a], name, chosen[b]) for a, name, b in statement.relations)
        for chosen in permutations(drawn.objects, len(statement.mentions))
    )


def truth(statement: Statement, drawn: Scene) -> bool:
    return bool(SceneTable([drawn]).truth(statement)[0])


RED, BLUE, CIRCLE = Mention(colour="red"), Mention(colour="blue"), Mention(shape="circle")


def test_two_mentions_need_two_objects() -> None:
    statement = Statement((RED, CIRCLE))
    assert not truth(statement, scene(item("circle", "red"), item("star", "blue", 0.8)))
    assert truth(statement, scene(item("circle", "red"), item("star", "red", 0.8)))


def test_attributes_of_one_mention_are_bound_to_one_object() -> None:
    red_star = Statement((Mention(colour="red", shape="star"),))
    assert not truth(red_star, scene(item("circle", "red"), item("star", "blue", 0.8)))
    assert truth(red_star, scene(item("circle", "blue"), item("star", "red", 0.8)))


def test_a_relation_holds_for_the_objects_that_fit_and_in_its_direction() -> None:
    statement = Statement((RED, BLUE), ((0, "left_of", 1),))
    assert truth(statement, scene(item(colour="red", x=0.2), item(colour="blue", x=0.8)))
    assert not truth(statement, scene(item(colour="blue", x=0.2), item(colour="red", x=0.8)))
    # The green object lies right of the red one, but nothing was said of green.
    assert not truth(
        statement, scene(item(colour="blue", x=0.2), item(colour="red", x=0.5), item(colour="green", x=0.8))
    )


def test_a_relation_may_name_the_second_mention_first() -> None:
    statement = Statement((RED, BLUE), ((1, "above", 0),))
    assert truth(statement, scene(item(colour="red", y=0.8), item(colour="blue", y=0.2)))
    assert not truth(statement, scene(item(colour="red", y=0.2), item(colour="blue", y=0.8)))


def test_both_relations_must_hold_for_the_same_choice() -> None:
    statement = Statement((RED, BLUE, CIRCLE), ((0, "left_of", 1), (0, "above", 2)))
    left, right = item("star", "red", 0.2, 0.5), item("star", "blue", 0.8, 0.5)
    assert truth(statement, scene(left, right, item("circle", "green", 0.2, 0.8)))
    assert not truth(statement, scene(left, right, item("circle", "green", 0.2, 0.2)))
    # One red object is left of blue, another above the circle; no red object is both.
    other = item("star", "red", 0.9, 0.3)
    assert not truth(statement, scene(left, right, other, item("circle", "green", 0.9, 0.46)))


def test_counts_are_exact() -> None:
    two = Statement(counts=((CIRCLE, 2),))
    circles = [item(x=x) for x in (0.2, 0.5, 0.8)]
    assert [truth(two, scene(*circles[:n])) for n in (1, 2, 3)] == [False, True, False]
    assert truth(Statement(counts=((Mention(), 3),)), scene(*circles))


def test_truth_equals_the_naive_checker_on_random_scenes() -> None:
    rng = np.random.default_rng(11)
    scenes: list[Scene] = []
    statements: list[Statement] = []
    for k in range(24):
        pair = draw_pair(rng, KINDS[k % 2])
        for own, drawn in enumerate(pair.scenes):
            scenes.append(drawn)
            made = caption_scene(rng, drawn, pair.scenes[1 - own], roles=pair.roles, shares=[1.0] * len(drawn.objects))
            statements += [caption.statement for caption in made or ()]
    assert {len(s.relations) for s in statements} == {0, 1, 2}
    assert any(s.counts for s in statements)
    naive = np.array([[naive_truth(statement, drawn) for statement in statements] for drawn in scenes])
    table = SceneTable(scenes)
    assert (np.stack([table.truth(s) for s in statements], axis=1) == naive).all()
    image, caption = true_pairs(scenes, statements)
    assert (np.argwhere(naive) == np.column_stack([image, caption])).all()
    assert image.dtype == caption.dtype == np.int32
    # Both answers occur beyond the pictures that the captions were made for.
    assert len(statements) < naive.sum() < naive.size / 2


def test_json_keeps_the_statement() -> None:
    statement = Statement((RED, CIRCLE), ((1, "inside", 0),), ((Mention(shape="star", fill="dotted"), 2),))
    assert statement_from_json(json.loads(json.dumps(statement_as_json(statement)))) == statement
