"""What drawn scenes are made of, and how much of it may occur; no numbers, so that a dry run can read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SHAPES = ("circle", "square", "triangle", "star", "cross", "heart")
COLOURS = ("red", "orange", "yellow", "green", "turquoise", "blue", "purple", "pink")
SIZES = ("small", "large")
FILLS = ("solid", "striped", "dotted", "outlined")
ATTRIBUTES = {"shape": SHAPES, "colour": COLOURS, "size": SIZES, "fill": FILLS}
RELATIONS = ("left_of", "right_of", "above", "below", "inside", "next_to")
MAX_OBJECTS = 6

Kind = Literal["attribute_twin", "relation_twin"]
KINDS: tuple[Kind, Kind] = ("attribute_twin", "relation_twin")


@dataclass(frozen=True)
class Variety:
    """What may be drawn and said: everything, or less where one ability alone is to be tested.

    kinds            of twins; the pairs of a split take them in turn
    objects          the most of them in a scene
    shapes, colours  how many of each occur, the first ones of SHAPES and COLOURS
    named            attributes that captions may name; shape or colour among them
    relations        that captions may name
    focused          how many captions of a picture are false of its twin by construction
    """

    kinds: tuple[Kind, ...] = KINDS
    objects: int = MAX_OBJECTS
    shapes: int = len(SHAPES)
    colours: int = len(COLOURS)
    named: tuple[str, ...] = tuple(ATTRIBUTES)
    relations: tuple[str, ...] = RELATIONS
    focused: int = 2


FULL = Variety()
