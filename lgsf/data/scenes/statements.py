"""What a caption claims about a scene, and for which scenes of a split the claim is true.

A statement is a formula, not a sentence: there are objects that fit these mentions, all different, with
these relations between them, and exactly so many objects fit these counted mentions. Whoever words it
(lgsf.data.scenes.captions) keeps the statement, so nothing is ever parsed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lgsf.data.scenes.graph import Scene, SceneObject, relations
from lgsf.data.scenes.variety import ATTRIBUTES, MAX_OBJECTS, RELATIONS

_COLUMN = {name: column for column, name in enumerate(ATTRIBUTES)}


@dataclass(frozen=True)
class Mention:
    """What is said of one object; None where nothing is said."""

    shape: str | None = None
    colour: str | None = None
    size: str | None = None
    fill: str | None = None

    def fits(self, item: SceneObject) -> bool:
        """Is everything that is said true of the object?"""
        return all(said is None or said == getattr(item, name) for name, said in vars(self).items())


@dataclass(frozen=True)
class Statement:
    """A claim about a scene.

    mentions   objects that exist, all different from each other
    relations  (a, relation, b): mention a stands in the relation to mention b
    counts     (mention, n): exactly n objects of the whole scene fit
    """

    mentions: tuple[Mention, ...] = ()
    relations: tuple[tuple[int, str, int], ...] = ()
    counts: tuple[tuple[Mention, int], ...] = ()


class SceneTable:
    """Many scenes as arrays, so that one statement is judged on all of them at once."""

    def __init__(self, scenes: Sequence[Scene]) -> None:
        n = len(scenes)
        # -1 where a scene has fewer objects: no attribute value has this code.
        self._codes = np.full((n, MAX_OBJECTS, len(ATTRIBUTES)), -1, np.int8)
        self._relations = np.zeros((len(RELATIONS), n, MAX_OBJECTS, MAX_OBJECTS), bool)
        for row, scene in enumerate(scenes):
            m = len(scene.objects)
            for name, column in _COLUMN.items():
                self._codes[row, :m, column] = [ATTRIBUTES[name].index(getattr(o, name)) for o in scene.objects]
            self._relations[:, row, :m, :m] = relations(scene)
        self._fitting: dict[Mention, npt.NDArray[np.bool_]] = {}

    def __len__(self) -> int:
        return len(self._codes)

    def truth(self, statement: Statement) -> npt.NDArray[np.bool_]:
        """(n_scenes,) bool: for which scenes the statement is true."""
        true = np.ones(len(self), bool)
        for mention, count in statement.counts:
            true &= self._fits(mention).sum(axis=1) == count
        fits = [self._fits(mention) for mention in statement.mentions]
        for fit in fits:
            true &= fit.any(axis=1)
        if len(fits) < 2:
            return true
        rows = np.flatnonzero(true)  # few are left, so all assignments of objects to mentions can be tried
        k = len(fits)
        assignment = np.ones((len(rows), *[MAX_OBJECTS] * k), bool)
        different = ~np.eye(MAX_OBJECTS, dtype=bool)
        for a, fit in enumerate(fits):
            assignment &= _spread(fit[rows], (a,), k)
            for b in range(a):
                assignment &= _spread(different[None], (b, a), k)
        for a, name, b in statement.relations:
            held = self._relations[RELATIONS.index(name), rows]
            assignment &= _spread(held if a < b else held.transpose(0, 2, 1), (min(a, b), max(a, b)), k)
        true[rows] = assignment.reshape(len(rows), -1).any(axis=1)
        return true

    def _fits(self, mention: Mention) -> npt.NDArray[np.bool_]:
        """(n_scenes, MAX_OBJECTS) bool: which objects fit the mention."""
        if mention not in self._fitting:
            fit = self._codes[..., 0] >= 0
            for name, said in vars(mention).items():
                if said is not None:
                    fit = fit & (self._codes[..., _COLUMN[name]] == ATTRIBUTES[name].index(said))
            self._fitting[mention] = fit
        return self._fitting[mention]


def true_pairs(
    scenes: Sequence[Scene], statements: Sequence[Statement]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Every pair (image row, caption row) whose statement is true of the scene, sorted by image, as two arrays."""
    table = SceneTable(scenes)
    columns = [np.flatnonzero(table.truth(statement)) for statement in statements]
    image = np.concatenate(columns)
    caption = np.repeat(np.arange(len(statements)), [len(column) for column in columns])
    order = np.lexsort((caption, image))
    return image[order].astype(np.int32), caption[order].astype(np.int32)


def _spread(array: npt.NDArray[np.bool_], axes: tuple[int, ...], k: int) -> npt.NDArray[np.bool_]:
    """The array (rows, objects of `axes` in rising order) with length-one axes for the other mentions."""
    shape = [array.shape[0], *[1] * k]
    for axis in axes:
        shape[axis + 1] = MAX_OBJECTS
    return array.reshape(shape)


def statement_as_json(statement: Statement) -> dict[str, Any]:
    """The statement as plain JSON; nothing is written of what a mention leaves open."""
    return {
        "mentions": [_said(mention) for mention in statement.mentions],
        "relations": [list(fact) for fact in statement.relations],
        "counts": [[_said(mention), count] for mention, count in statement.counts],
    }


def statement_from_json(raw: Mapping[str, Any]) -> Statement:
    """The statement that `statement_as_json` wrote."""
    return Statement(
        mentions=tuple(Mention(**said) for said in raw["mentions"]),
        relations=tuple((int(a), str(name), int(b)) for a, name, b in raw["relations"]),
        counts=tuple((Mention(**said), int(count)) for said, count in raw["counts"]),
    )


def _said(mention: Mention) -> dict[str, str]:
    return {name: value for name, value in vars(mention).items() if value is not None}
