"""Relations on hand-made scenes, and twins that differ in roles alone."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from lgsf.data.scenes.graph import APART, Scene, as_json, draw_pair, from_json, relations
from lgsf.data.scenes.variety import KINDS, RELATIONS
from tests.support.scene_builders import item, scene


def held(drawn: Scene) -> set[tuple[int, str, int]]:
    """All relations that hold, as (subject, relation, object)."""
    return {(a, RELATIONS[r], b) for r, a, b in np.argwhere(relations(drawn)).tolist()}


def test_left_and_right_where_only_the_columns_differ() -> None:
    assert held(scene(item(x=0.2), item(x=0.7))) == {(0, "left_of", 1), (1, "right_of", 0)}


def test_above_and_below_where_only_the_rows_differ() -> None:
    assert held(scene(item(y=0.8), item(y=0.3))) == {(1, "above", 0), (0, "below", 1)}


def test_a_diagonal_neighbour_is_both_left_and_above() -> None:
    facts = held(scene(item(x=0.2, y=0.2), item(x=0.7, y=0.7)))
    assert facts == {(0, "left_of", 1), (1, "right_of", 0), (0, "above", 1), (1, "below", 0)}


def test_centres_that_are_hardly_apart_are_neither_left_nor_right() -> None:
    facts = held(scene(item(x=0.5, y=0.2), item(x=0.5 + 0.9 * APART, y=0.8)))
    assert facts == {(0, "above", 1), (1, "below", 0)}


def test_next_to_holds_both_ways_for_a_small_gap() -> None:
    facts = held(scene(item(x=0.40), item(x=0.54)))
    assert facts == {(0, "next_to", 1), (1, "next_to", 0), (0, "left_of", 1), (1, "right_of", 0)}


def test_inside_excludes_every_other_relation() -> None:
    frame = item("square", size="large", radius=0.13)
    assert held(scene(frame, item(x=0.52, y=0.48))) == {(1, "inside", 0)}


@pytest.mark.parametrize("shape", ["triangle", "star", "cross", "heart"])
def test_nothing_lies_inside_a_shape_without_room(shape: str) -> None:
    frame = item(shape, size="large", radius=0.13)
    assert not any(name == "inside" for _, name, _ in held(scene(frame, item())))


def test_an_object_over_the_rim_is_not_inside() -> None:
    frame = item("circle", size="large", radius=0.13)
    assert (1, "inside", 0) not in held(scene(frame, item(x=0.6)))


def test_converse_relations_mirror_each_other_and_nothing_relates_to_itself() -> None:
    rng = np.random.default_rng(3)
    for pair in range(30):
        for drawn in draw_pair(rng, KINDS[pair % 2]).scenes:
            left, right, above, below, _, near = relations(drawn)
            assert (left == right.T).all()
            assert (above == below.T).all()
            assert (near == near.T).all()
            assert not relations(drawn)[:, *np.diag_indices(len(drawn.objects))].any()


def places(drawn: Scene) -> Counter[tuple[float, float]]:
    return Counter((o.x, o.y) for o in drawn.objects)


def test_relation_twins_have_the_same_objects_on_the_same_places_in_other_roles() -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        pair = draw_pair(rng, "relation_twin")
        own, twin = pair.scenes
        assert own.bag == twin.bag
        assert places(own) == places(twin)
        a, b = pair.roles
        assert (own.objects[a].x, own.objects[a].y) == (twin.objects[b].x, twin.objects[b].y)
        for number, (first, second) in enumerate(zip(own.objects, twin.objects, strict=True)):
            assert first.attributes == second.attributes
            assert (first == second) == (number not in pair.roles)
        assert (own.background, own.background_seed) == (twin.background, twin.background_seed)


def test_attribute_twins_have_the_same_values_bound_otherwise() -> None:
    rng = np.random.default_rng(1)
    seen = Counter[str]()
    for _ in range(120):
        pair = draw_pair(rng, "attribute_twin")
        own, twin = pair.scenes
        assert own.bag != twin.bag
        assert places(own) == places(twin)
        values = [Counter(value for o in s.objects for value in o.attributes) for s in pair.scenes]
        assert values[0] == values[1]
        a, b = pair.roles
        assert pair.attribute is not None
        assert getattr(own.objects[a], pair.attribute) == getattr(twin.objects[b], pair.attribute)
        assert all(own.objects[i] == twin.objects[i] for i in range(len(own.objects)) if i not in (a, b))
        seen[pair.attribute] += 1
    assert set(seen) == {"colour", "shape", "fill", "size"}


def test_scenes_hold_two_to_six_objects_on_the_canvas_in_half_of_its_width() -> None:
    rng = np.random.default_rng(2)
    drawn = [s for k in range(150) for s in draw_pair(rng, KINDS[k % 2]).scenes]
    assert {len(s.objects) for s in drawn} == {2, 3, 4, 5, 6}
    spans = []
    for s in drawn:
        low = min(min(o.x - o.radius, o.y - o.radius) for o in s.objects)
        high = max(max(o.x + o.radius, o.y + o.radius) for o in s.objects)
        assert low >= 0
        assert high <= 1
        spans.append(max(o.x for o in s.objects) - min(o.x for o in s.objects))
    assert max(spans) < 0.65
    centres = np.array([np.mean([o.x for o in s.objects]) for s in drawn])
    assert centres.std() > 0.08  # the group's place is random


def test_json_keeps_the_scene() -> None:
    drawn = draw_pair(np.random.default_rng(5), "relation_twin").scenes[0]
    raw = json.loads(json.dumps(as_json(drawn)))
    assert from_json(raw) == drawn
    assert {tuple(fact) for fact in raw["relations"]} == held(drawn)
