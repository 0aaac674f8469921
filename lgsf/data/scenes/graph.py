"""Scene graphs of the built-in dataset: objects, the relations between them, and twins with roles exchanged.

A scene says what is where; nothing here draws or words anything. Lengths are shares of the picture's
side, x grows to the right and y downwards. Two scenes are twins when one comes from the other by
exchanging the places of two objects (`relation_twin`) or the value of one attribute between two objects
(`attribute_twin`): the first have the same bag of objects, the second the same bag of attribute values.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lgsf.data.scenes.variety import COLOURS, FILLS, FULL, MAX_OBJECTS, RELATIONS, SHAPES, SIZES, Kind, Variety

BACKGROUNDS = ("plain", "gradient", "clouds", "tiles")
N_OBJECTS = tuple(range(2, MAX_OBJECTS + 1))
N_OBJECTS_ODDS = (0.40, 0.30, 0.15, 0.09, 0.06)

# Distances that decide the truth of a relation.
APART = 0.06  # centres differ by this much along an axis: left of, above, ...
NEAR = 0.045  # at most this gap between the circles around two objects: next to
# Share of an object's radius whose disc is free for another object to lie inside; other shapes hold nothing.
HOLLOW = {"circle": 0.97, "square": 0.70}

# The group of objects spans about half the canvas at a random place: over the whole canvas an object's
# absolute position would give the relations away, in a tiny group they can hardly be measured.
SPREAD = 0.46
RADIUS = {"small": (0.050, 0.060), "large": (0.082, 0.098)}
CONTAINER_RADIUS = (0.125, 0.140)
MARGIN = 0.01


@dataclass(frozen=True)
class SceneObject:
    """One object: four attributes that captions may name, and how exactly it lies there.

    x, y, radius  centre and circle around the shape, in shares of the picture's side
    turn          rotation in degrees
    tone          two numbers in -1..1 that shift hue and brightness a little
    """

    shape: str
    colour: str
    size: str
    fill: str
    x: float
    y: float
    radius: float
    turn: float
    tone: tuple[float, float]

    @property
    def attributes(self) -> tuple[str, str, str, str]:
        """Shape, colour, size and fill."""
        return self.shape, self.colour, self.size, self.fill


@dataclass(frozen=True)
class Scene:
    """Objects from back to front on a background; `noise` is the grain's standard deviation in grey levels."""

    objects: tuple[SceneObject, ...]
    background: str
    background_seed: int
    noise: float
    noise_seed: int

    @property
    def bag(self) -> tuple[tuple[str, str, str, str], ...]:
        """The objects' attributes without their places, sorted."""
        return tuple(sorted(o.attributes for o in self.objects))


@dataclass(frozen=True)
class TwinPair:
    """Two scenes that differ in the roles of the objects numbered `roles` alone."""

    scenes: tuple[Scene, Scene]
    kind: Kind
    roles: tuple[int, int]
    attribute: str | None


def relations(scene: Scene) -> npt.NDArray[np.bool_]:
    """(len(RELATIONS), n_objects, n_objects) bool: does relation r hold from object a to object b?

    a is left of b (above, ...) when the centres are clearly apart along that axis and neither lies inside
    the other; inside when the circle around a fits into the hollow disc of b; next to when the gap
    between the circles around both is small and neither lies inside the other.
    """
    x, y, radius = (np.array([getattr(o, k) for o in scene.objects]) for k in ("x", "y", "radius"))
    hollow = np.array([HOLLOW.get(o.shape, 0.0) * o.radius for o in scene.objects])
    distance = np.hypot(x[:, None] - x, y[:, None] - y)
    inside = distance + radius[:, None] <= hollow
    beside = ~(inside | inside.T | np.eye(len(x), dtype=bool))
    right = (x[:, None] - x >= APART) & beside
    below = (y[:, None] - y >= APART) & beside
    near = (distance - radius[:, None] - radius <= NEAR) & beside
    return np.stack([right.T, right, below.T, below, inside, near])


def draw_pair(rng: np.random.Generator, kind: Kind, variety: Variety = FULL) -> TwinPair:
    """A random scene and its twin of the given kind."""
    while True:
        scene = draw_scene(rng, variety)
        twin = _exchange_attribute(rng, scene) if kind == "attribute_twin" else _exchange_places(rng, scene)
        if twin is not None:
            return twin


def draw_scene(rng: np.random.Generator, variety: Variety = FULL) -> Scene:
    """A random scene of two to six objects, or as many as the variety allows.

    A scene draws from few shapes and colours, so that its objects share values and only the binding of
    attributes tells them apart.
    """
    counts = N_OBJECTS[: variety.objects - N_OBJECTS[0] + 1]
    odds = N_OBJECTS_ODDS[: len(counts)]
    # Dividing by a sum of 1 up to rounding could move a draw, and with it every picture after it.
    n_objects = int(rng.choice(counts, p=odds if counts == N_OBJECTS else np.array(odds) / sum(odds)))
    shapes = rng.choice(SHAPES[: variety.shapes], size=min(variety.shapes, 3), replace=False)
    colours = rng.choice(COLOURS[: variety.colours], size=min(variety.colours, 4), replace=False)
    background = str(rng.choice(BACKGROUNDS))
    crowding = rng.uniform(0.45, 1.15)  # share of touching distance that objects keep
    while True:
        objects = [_draw_object(rng, shapes, colours) for _ in range(n_objects)]
        if rng.random() < 0.4:
            objects[0] = _as_container(rng, objects[0])
            objects[-1] = _inside(rng, objects[-1], objects[0])
        placed = _move_group(rng, objects)
        scene = Scene(
            objects=tuple(placed),
            background=background,
            background_seed=int(rng.integers(2**31)),
            noise=float(rng.uniform(2.0, 6.0)),
            noise_seed=int(rng.integers(2**31)),
        )
        if _well_placed(scene, crowding):
            return scene


def as_json(scene: Scene) -> dict[str, Any]:
    """The scene graph as plain JSON: objects, and every relation that holds as [subject, relation, object]."""
    table = relations(scene)
    return {
        "objects": [vars(o) | {"tone": list(o.tone)} for o in scene.objects],
        "relations": [[int(a), RELATIONS[r], int(b)] for r, a, b in np.argwhere(table)],
        "background": scene.background,
        "background_seed": scene.background_seed,
        "noise": scene.noise,
        "noise_seed": scene.noise_seed,
    }


def from_json(raw: dict[str, Any]) -> Scene:
    """The scene that `as_json` wrote."""
    objects = tuple(SceneObject(**{**o, "tone": tuple(o["tone"])}) for o in raw["objects"])
    rest = {key: raw[key] for key in ("background", "background_seed", "noise", "noise_seed")}
    return Scene(objects=objects, **rest)


def _draw_object(rng: np.random.Generator, shapes: npt.NDArray[Any], colours: npt.NDArray[Any]) -> SceneObject:
    size = str(rng.choice(SIZES))
    return SceneObject(
        shape=str(rng.choice(shapes)),
        colour=str(rng.choice(colours)),
        size=size,
        fill=str(rng.choice(FILLS)),
        x=float(rng.uniform(0, SPREAD)),
        y=float(rng.uniform(0, SPREAD)),
        radius=float(rng.uniform(*RADIUS[size])),
        turn=float(rng.uniform(-12, 12)),
        tone=(float(rng.uniform(-1, 1)), float(rng.uniform(-1, 1))),
    )


def _as_container(rng: np.random.Generator, item: SceneObject) -> SceneObject:
    """The object made large and hollow enough to hold a small one."""
    shape = str(rng.choice(tuple(HOLLOW)))
    fill = "outlined" if rng.random() < 0.5 else item.fill
    return replace(item, shape=shape, size="large", fill=fill, radius=float(rng.uniform(*CONTAINER_RADIUS)))


def _inside(rng: np.random.Generator, item: SceneObject, container: SceneObject) -> SceneObject:
    """The object made small and laid somewhere inside `container`."""
    radius = float(rng.uniform(*RADIUS["small"]))
    room = HOLLOW[container.shape] * container.radius - radius
    angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0, room)
    x, y = container.x + length * np.cos(angle), container.y + length * np.sin(angle)
    return replace(item, size="small", radius=radius, x=float(x), y=float(y))


def _move_group(rng: np.random.Generator, objects: list[SceneObject]) -> list[SceneObject]:
    """The objects moved together to a random place where all are on the canvas."""
    shift = []
    for axis in ("x", "y"):
        low = min(getattr(o, axis) - o.radius for o in objects)
        high = max(getattr(o, axis) + o.radius for o in objects)
        shift.append(float(rng.uniform(MARGIN - low, 1 - MARGIN - high)))
    return [replace(o, x=o.x + shift[0], y=o.y + shift[1]) for o in objects]


def _well_placed(scene: Scene, crowding: float) -> bool:
    """Do all objects lie on the canvas, and any two inside one another or far enough apart?"""
    inside = relations(scene)[RELATIONS.index("inside")]
    for a, first in enumerate(scene.objects):
        for coordinate in (first.x, first.y):
            if not first.radius <= coordinate <= 1 - first.radius:
                return False
        for b in range(a):
            second = scene.objects[b]
            distance = np.hypot(first.x - second.x, first.y - second.y)
            # The object in front must be the one inside, or it would be hidden.
            if distance < crowding * (first.radius + second.radius) and not inside[a, b]:
                return False
    return True


def _exchange_places(rng: np.random.Generator, scene: Scene) -> TwinPair | None:
    """The relation twin: two unlike objects of one size take each other's place."""
    for a, b in _pairs(rng, scene):
        first, second = scene.objects[a], scene.objects[b]
        if first.size != second.size or (first.shape, first.colour) == (second.shape, second.colour):
            continue
        twin = _with(
            scene,
            rng,
            {a: replace(first, x=second.x, y=second.y), b: replace(second, x=first.x, y=first.y)},
        )
        if _well_placed(twin, 0.5):
            return TwinPair((scene, twin), "relation_twin", (a, b), None)
    return None


def _exchange_attribute(rng: np.random.Generator, scene: Scene) -> TwinPair | None:
    """The attribute twin: two objects take each other's colour, shape, fill or size."""
    attribute = str(rng.choice(("colour", "shape", "fill", "size"), p=(0.4, 0.3, 0.2, 0.1)))
    moved = ("size", "radius") if attribute == "size" else ("shape", "turn") if attribute == "shape" else (attribute,)
    for a, b in _pairs(rng, scene):
        first, second = scene.objects[a], scene.objects[b]
        if getattr(first, attribute) == getattr(second, attribute):
            continue
        twin = _with(
            scene,
            rng,
            {
                a: replace(first, **{k: getattr(second, k) for k in moved}),
                b: replace(second, **{k: getattr(first, k) for k in moved}),
            },
        )
        # An equal bag would mean that the two differ in this attribute alone: a relation twin.
        if twin.bag != scene.bag and _well_placed(twin, 0.5):
            return TwinPair((scene, twin), "attribute_twin", (a, b), attribute)
    return None


def _pairs(rng: np.random.Generator, scene: Scene) -> list[tuple[int, int]]:
    """All pairs of object numbers in random order."""
    n = len(scene.objects)
    pairs = [(a, b) for a in range(n) for b in range(a + 1, n)]
    return [pairs[i] for i in rng.permutation(len(pairs))]


def _with(scene: Scene, rng: np.random.Generator, changed: dict[int, SceneObject]) -> Scene:
    """The scene with some objects changed and a grain of its own."""
    objects = tuple(changed.get(i, o) for i, o in enumerate(scene.objects))
    return replace(scene, objects=objects, noise_seed=int(rng.integers(2**31)))
