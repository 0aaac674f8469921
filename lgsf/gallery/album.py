"""The album: all that a report's gallery shows of one dataset, in one JSON file that needs neither data nor weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lgsf.gallery.pictures import Thumbnail
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_object, write_json
from lgsf.system.settings import explain

Direction = Literal["i2t", "t2i"]
AGAIN = "run the album step again"


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ImageEntry(_Entry):
    """One image: its own captions, its picture where there is one, its regions (x0 y0 x1 y1 in 0..1)."""

    id: str
    captions: list[str]
    picture: Thumbnail | None = None
    boxes: list[tuple[float, float, float, float]] = []
    credit: str = ""


class CaptionEntry(_Entry):
    """One caption and the row of its image."""

    text: str
    image: int


class Answer(_Entry):
    """What one run answered: its best candidates (rows), and the place of the first right one, 1 for the first."""

    method: str
    title: str
    seed: int
    place: int = Field(ge=1)
    top: list[int]


class View(_Entry):
    """What one run looked at in one pair, as `gallery.npz` has it without the padding.

    effect       (n_regions,) what the score loses with the region; empty where there is one region only
    region_region, word_region, region_word   attention, [] where the method has none; words name the tokens
    """

    method: str
    title: str
    seed: int
    score: float
    effect: list[float]
    region_region: list[list[float]] = []
    word_region: list[list[float]] = []
    region_word: list[list[float]] = []
    words: list[str] = []


class Question(_Entry):
    """An image that asks for captions (i2t) or a caption that asks for its image (t2i)."""

    direction: Direction
    row: int
    image: int
    caption: int
    answers: list[Answer]
    views: list[View]


class Change(_Entry):
    """A question whose answer differs much between two methods; places are geometric means over seeds."""

    direction: Direction
    row: int
    reference: str
    before: float
    after: float
    answers: list[Answer]


class Album(_Entry):
    """The gallery of one dataset; images and captions are keyed by their row in the split.

    made_from  sha256 of the dataset.json, and of the test ranks of every run that is shown, by its folder
    """

    schema_version: Literal[1] = 1
    dataset: str
    split: str
    n_images: int
    n_captions: int
    images: dict[int, ImageEntry] = {}
    captions: dict[int, CaptionEntry] = {}
    questions: list[Question] = []
    changes: list[Change] = []
    notes: list[str] = []
    made_from: dict[str, str] = {}


def write_album(path: Path, album: Album) -> None:
    """Atomic JSON; equal albums give equal bytes."""
    write_json(path, album.model_dump(mode="json"))


def read_album(path: Path, ranks: Mapping[str, str] | None = None) -> Album | None:
    """An album, or None where none was made.

    ranks  folder of a run -> sha256 of its test ranks, where the album is to stand beside numbers of these

    Raises LgsfError where the file is broken, of another version, or shows other ranks.
    """
    if not path.exists():
        return None
    try:
        album = Album.model_validate_json(json.dumps(read_object(path, hint=AGAIN)))
    except ValidationError as error:
        raise LgsfError(f"{path}: {explain(error).removesuffix('.')}; {AGAIN}.") from None
    for run, digest in album.made_from.items():
        if ranks is not None and run != "dataset" and ranks.get(run) != digest:
            raise LgsfError(f"{path} shows other ranks of {run} than the tables: {AGAIN}.")
    return album
