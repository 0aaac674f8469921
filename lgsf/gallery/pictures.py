"""Pictures for the gallery: whose they are, and how they shrink within a budget."""

from __future__ import annotations

import base64
import csv
import io
import struct
from collections.abc import Mapping
from pathlib import Path

from PIL import Image, ImageOps
from pydantic import BaseModel, ConfigDict

from lgsf.system.errors import LgsfError
from lgsf.system.given import read_text

LARGE, SMALL = 320, 144  # longest side in pixels: pictures that are looked at, and those in a row of answers
SCALES = (1.0, 0.75, 0.5)
QUALITY = 72
ATTRIBUTION, CREDITS = "ATTRIBUTION.csv", ("author", "licence", "flickr_url")


class Thumbnail(BaseModel):
    """A small WebP picture; `data` is base64."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str
    width: int
    height: int


def read_credits(photos: Path | None) -> dict[str, str]:
    """File name of a photo -> whose it is, from `ATTRIBUTION.csv` in their folder or beside it; {} without.

    Its columns are file_name and any of author, licence and flickr_url.

    Raises LgsfError where the file cannot be read or has no such columns.
    """
    places = () if photos is None else (photos / ATTRIBUTION, photos.resolve().parent / ATTRIBUTION)
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        return {}
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(path, remedy="mend or remove it"), newline="")))
    except csv.Error as error:
        raise LgsfError(f"{path} is not a CSV file ({error}): mend or remove it.") from None
    if rows and not ("file_name" in rows[0] and set(CREDITS) & set(rows[0])):
        raise LgsfError(f"{path} needs a column file_name and one of {', '.join(CREDITS)}: add them or remove it.")
    return {row["file_name"]: ", ".join(row[name] for name in CREDITS if row.get(name)) for row in rows}


def thumbnails(files: Mapping[int, Path], *, large: frozenset[int], budget: int) -> dict[int, Thumbnail]:
    """Pictures of the rows in `files`, the most important first, in at most `budget` characters of base64.

    Rows in `large` get the larger size. All get smaller together until they fit; at the smallest size the last
    ones are left out.

    Raises LgsfError for a file that is no picture.
    """
    made: dict[int, Thumbnail] = {}
    for scale in SCALES:
        made = {row: _thumbnail(file, int(scale * (LARGE if row in large else SMALL))) for row, file in files.items()}
        if sum(len(picture.data) for picture in made.values()) <= budget:
            return made
    kept: dict[int, Thumbnail] = {}
    for row, picture in made.items():
        if len(picture.data) > budget:
            break
        kept[row] = picture
        budget -= len(picture.data)
    return kept


def open_picture(file: Path, longest: int) -> Image.Image:
    """A picture in RGB whose longer side has at most `longest` pixels; LgsfError for a file that is none."""
    try:
        with Image.open(file) as picture:
            picture.draft("RGB", (longest, longest))  # a JPEG decodes at a fraction of its size
            small = ImageOps.exif_transpose(picture).convert("RGB")  # as the camera was held
            small.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    except (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError) as error:
        raise LgsfError(f"{file} cannot be read as a picture ({error}): copy it again or remove it.") from None
    return small


def _thumbnail(file: Path, longest: int) -> Thumbnail:
    small = open_picture(file, longest)
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=QUALITY, method=4)
    return Thumbnail(data=base64.b64encode(buffer.getvalue()).decode("ascii"), width=small.width, height=small.height)
