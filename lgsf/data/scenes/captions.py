"""Captions of a scene: which true statements are made about it, and how they are worded.

Five captions per picture, of varied completeness. They mention only objects that can be seen well and use
a relation only where it is plain; at least two of the five, or `Variety.focused`, are false of the picture's twin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lgsf.data.scenes.graph import Scene, SceneObject, relations
from lgsf.data.scenes.statements import Mention, SceneTable, Statement
from lgsf.data.scenes.variety import FULL, RELATIONS, Variety

CAPTIONS = 5
SEEN = 0.6  # share of an object that must be visible before a caption mentions it
PLAIN = 0.10  # left of, above, ... is said where centres differ by this much and more than along the other axis
_ATTEMPTS = 40

# Which attributes a mention names, and how often.
_DETAIL = (
    (("colour", "shape"), 0.40),
    (("colour", "shape", "fill"), 0.15),
    (("colour", "shape", "size"), 0.15),
    (("fill", "shape"), 0.07),
    (("size", "colour"), 0.05),
    (("colour",), 0.06),
    (("shape",), 0.06),
    (("size", "colour", "shape", "fill"), 0.06),
)
# The same where objects of a kind are counted.
_COUNTED = (
    (("shape",), 0.3),
    (("colour",), 0.25),
    (("fill",), 0.1),
    (("colour", "shape"), 0.15),
    (("fill", "shape"), 0.1),
    ((), 0.1),
)
# How often a relation is chosen among those that hold: rare ones are said when they can be.
_WEIGHT = {"left_of": 1.0, "right_of": 1.0, "above": 1.0, "below": 1.0, "inside": 4.0, "next_to": 0.8}

_WORDS = {
    "left_of": ("left of", "to the left of", "on the left of"),
    "right_of": ("right of", "to the right of", "on the right of"),
    "above": ("above", "over"),
    "below": ("below", "under", "beneath"),
    "inside": ("inside", "within", "in"),
    "next_to": ("next to", "beside", "close to"),
    "small": ("small", "little"),
    "large": ("large", "big"),
    "solid": ("solid", "plain"),
    "striped": ("striped",),
    "dotted": ("dotted", "spotted"),
    "outlined": ("outlined", "hollow"),
    "any": ("shape", "object"),
}
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six")
_RELATION_FRAMES = (
    "{a} is {r} {b}",
    "{a} {r} {b}",
    "there is {a} {r} {b}",
    "{a} can be seen {r} {b}",
    "{r} {b} there is {a}",
    "{r} {b} you can see {a}",
    "a picture of {a} {r} {b}",
)
_ALSO_FRAMES = ("{s}, and there is also {c}", "{s}, and {c} can be seen too")
_BOTH_FRAMES = ("{a} is {r} {b} and {q} {c}", "there is {a} {r} {b} and {q} {c}", "{a}, {r} {b} and {q} {c}")
_CHAIN_FRAMES = ("{a} is {r} {b}, which is {q} {c}", "there is {a} {r} {b} that is {q} {c}")
_LIST_FRAMES = ("{l}", "there is {l}", "a picture of {l}", "you can see {l}", "{l} can be seen")
_COUNT_FRAMES = ("{n}", "there {are} {n}", "exactly {n}", "you can see {n}", "a picture of {n}")


@dataclass(frozen=True)
class Caption:
    """A sentence and what it claims; `objects` are the numbers of the objects it was made from."""

    text: str
    statement: Statement
    objects: tuple[int, ...]


def caption_scene(
    rng: np.random.Generator,
    scene: Scene,
    twin: Scene,
    *,
    roles: tuple[int, int],
    shares: Sequence[float],
    variety: Variety = FULL,
) -> list[Caption] | None:
    """Five different captions of the scene, or None if it does not show enough of the objects.

    `roles` are the objects that differ in the twin, `shares` tells how much of each object can be seen.
    """
    writer = _Writer(rng, scene, shares, variety)
    table = SceneTable((scene, twin))
    captions: list[Caption] = []
    for _ in range(_ATTEMPTS):
        if len(captions) == CAPTIONS:
            return [captions[i] for i in rng.permutation(CAPTIONS)]
        focused = len(captions) < variety.focused
        made = writer.relating(roles) if focused else writer.anything(last=len(captions) == CAPTIONS - 1)
        if made is None or any(made[0] == old.statement for old in captions):
            continue
        own, other = table.truth(made[0])
        assert own, "a caption must be true of its own picture"
        if not (focused and other):
            captions.append(Caption(word(rng, made[0]), *made))
    return None


class _Writer:
    """Makes true statements about one scene."""

    def __init__(self, rng: np.random.Generator, scene: Scene, shares: Sequence[float], variety: Variety) -> None:
        self._rng = rng
        details, odds = zip(*((names, p) for names, p in _DETAIL if set(names) <= set(variety.named)), strict=True)
        # All of them as they are: dividing by a sum of 1 up to rounding could move a draw.
        self._details, self._odds = details, odds if len(odds) == len(_DETAIL) else np.array(odds) / sum(odds)
        self._counted = [(names, p) for names, p in _COUNTED if set(names) <= set(variety.named)]
        self._objects = scene.objects
        self._seen = [i for i, share in enumerate(shares) if share >= SEEN]
        self._plain = [
            (a, RELATIONS[r], b)
            for r, a, b in np.argwhere(relations(scene)).tolist()
            if RELATIONS[r] in variety.relations
            and a in self._seen
            and b in self._seen
            and _is_plain(RELATIONS[r], scene.objects[a], scene.objects[b])
        ]

    def anything(self, *, last: bool) -> tuple[Statement, tuple[int, ...]] | None:
        """A statement of a random kind; the last of the five rather counts."""
        kinds = (self.relating, self.listing, self.relating_two, self.counting)
        odds = (0.2, 0.2, 0.1, 0.5) if last else (0.4, 0.25, 0.25, 0.1)
        return kinds[self._rng.choice(len(kinds), p=odds)](tuple(self._seen))

    def relating(self, about: Sequence[int]) -> tuple[Statement, tuple[int, ...]] | None:
        """A is left of B - perhaps with a third object besides; A or B is one of `about`."""
        fact = self._fact([f for f in self._plain if f[0] in about or f[2] in about])
        if fact is None:
            return None
        a, name, b = fact
        others = [i for i in self._seen if i not in (a, b)]
        chosen = [a, b]
        if others and self._rng.random() < 0.2:
            chosen.append(int(self._rng.choice(others)))
        return Statement(self._mentions(chosen), ((0, name, 1),)), tuple(chosen)

    def relating_two(self, about: Sequence[int]) -> tuple[Statement, tuple[int, ...]] | None:
        """A is left of B and above C, or A is left of B, which is above C."""
        first = self._fact([f for f in self._plain if f[0] in about or f[2] in about])
        if first is None:
            return None
        a, name, b = first
        second = self._fact([f for f in self._plain if f[0] in (a, b) and f[2] not in (a, b)])
        if second is None:
            return None
        statement = Statement(
            self._mentions((a, b, second[2])), ((0, name, 1), ((a, b).index(second[0]), second[1], 2))
        )
        return statement, (a, b, second[2])

    def listing(self, about: Sequence[int]) -> tuple[Statement, tuple[int, ...]] | None:
        """A and B and C; one of them is one of `about`."""
        candidates = [i for i in about if i in self._seen]
        if not candidates:
            return None
        first = int(self._rng.choice(candidates))
        others = [i for i in self._seen if i != first]
        n_more = min(len(others), int(self._rng.integers(1, 4)))
        chosen = [first, *self._rng.choice(others, n_more, replace=False).tolist()] if n_more else [first]
        chosen = [chosen[i] for i in self._rng.permutation(len(chosen))]
        return Statement(self._mentions(chosen)), tuple(chosen)

    def counting(self, about: Sequence[int]) -> tuple[Statement, tuple[int, ...]] | None:
        """Exactly so many objects of a kind, perhaps one more object besides; all of them can be seen."""
        sample = self._objects[int(self._rng.choice(about))] if about else None
        if sample is None:
            return None
        odds = np.array([p for _, p in self._counted])
        names = self._counted[self._rng.choice(len(odds), p=odds if len(odds) == len(_COUNTED) else odds / odds.sum())][
            0
        ]
        mention = Mention(**{name: getattr(sample, name) for name in names})
        members = [i for i, item in enumerate(self._objects) if mention.fits(item)]
        if not set(members) <= set(self._seen):
            return None
        others = [i for i in self._seen if i not in members]
        more = [int(self._rng.choice(others))] if others and self._rng.random() < 0.75 else []
        return Statement(self._mentions(more), counts=((mention, len(members)),)), (*members, *more)

    def _mentions(self, chosen: Sequence[int]) -> tuple[Mention, ...]:
        return tuple(self._mention(self._objects[i]) for i in chosen)

    def _mention(self, item: SceneObject) -> Mention:
        names = self._details[self._rng.choice(len(self._details), p=self._odds)]
        return Mention(**{name: getattr(item, name) for name in names})

    def _fact(self, facts: Sequence[tuple[int, str, int]]) -> tuple[int, str, int] | None:
        if not facts:
            return None
        weights = np.array([_WEIGHT[name] for _, name, _ in facts])
        return facts[self._rng.choice(len(facts), p=weights / weights.sum())]


def _is_plain(name: str, a: SceneObject, b: SceneObject) -> bool:
    """Would a person say it? Truth is more generous: see lgsf.data.scenes.graph.relations."""
    along, across = abs(a.x - b.x), abs(a.y - b.y)
    if name in ("above", "below"):
        along, across = across, along
    return name in ("inside", "next_to") or along >= max(PLAIN, across)


def word(rng: np.random.Generator, statement: Statement) -> str:
    """An English sentence that says the statement, in one of many wordings."""
    nouns = [_noun_phrase(rng, mention) for mention in statement.mentions]
    if statement.counts:
        text = _word_count(rng, statement, nouns)
    elif len(statement.relations) == 2:
        (a, first, b), (c, second, _) = statement.relations
        frame = _pick(rng, _BOTH_FRAMES if c == a else _CHAIN_FRAMES)
        text = frame.format(a=nouns[a], b=nouns[b], c=nouns[2], r=_say(rng, first), q=_say(rng, second))
    elif statement.relations:
        a, name, b = statement.relations[0]
        text = _pick(rng, _RELATION_FRAMES).format(a=nouns[a], b=nouns[b], r=_say(rng, name))
        if len(nouns) > 2:
            text = _pick(rng, _ALSO_FRAMES).format(s=text, c=nouns[2])
    else:
        text = _pick(rng, _LIST_FRAMES).format(l=_join(nouns))
    return f"{text[0].upper()}{text[1:]}."


def _word_count(rng: np.random.Generator, statement: Statement, nouns: Sequence[str]) -> str:
    mention, count = statement.counts[0]
    parts = [_NUMBERS[count], *_adjectives(rng, mention), _noun(rng, mention, plural=count != 1)]
    if count == 1:
        parts.insert(0, "only")
    text = _pick(rng, _COUNT_FRAMES if count > 1 else _COUNT_FRAMES[:2])
    text = text.format(n=" ".join(parts), are="are" if count > 1 else "is")
    return _pick(rng, _ALSO_FRAMES).format(s=text, c=nouns[0]) if nouns else text


def _noun_phrase(rng: np.random.Generator, mention: Mention) -> str:
    """For example: a small red star."""
    words = " ".join([*_adjectives(rng, mention), _noun(rng, mention, plural=False)])
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _adjectives(rng: np.random.Generator, mention: Mention) -> list[str]:
    return [_say(rng, value) for value in (mention.size, mention.fill, mention.colour) if value is not None]


def _noun(rng: np.random.Generator, mention: Mention, *, plural: bool) -> str:
    noun = mention.shape or _say(rng, "any")
    return noun if not plural else f"{noun}es" if noun.endswith("s") else f"{noun}s"


def _say(rng: np.random.Generator, value: str) -> str:
    return _pick(rng, _WORDS.get(value, (value,)))


def _pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]


def _join(nouns: Sequence[str]) -> str:
    return nouns[0] if len(nouns) == 1 else f"{', '.join(nouns[:-1])} and {nouns[-1]}"
