"""The album: all that a report's gallery shows of one dataset, in one JSON file that needs neither data nor weights."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lgsf.gallery.pictures import Thumbnail
from lgsf.system.errors import LgsfError
from lgsf.system.files import write_text
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
    """The gallery of one dataset; images and captions are keyed by their row in the split."""

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


def write_album(path: Path, album: Album) -> None:
    """Atomic JSON; equal albums give equal bytes."""
    write_text(path, album.model_dump_json(indent=1) + "\n")


def read_album(path: Path) -> Album | None:
    """An album, or None where none was made.

    Raises LgsfError where the file is broken or of another version.
    """
    try:
        return Album.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise LgsfError(f"{path}: {explain(error).removesuffix('.')}; {AGAIN}.") from None
    except UnicodeDecodeError as error:
        raise LgsfError(f"{path} is not UTF-8 ({error}); {AGAIN}.") from None
