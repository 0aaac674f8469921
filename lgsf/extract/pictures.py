"""Photos from disk to upright RGB pictures; whatever is no whole picture comes back with the reason."""

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

WHITE = (255, 255, 255)
LAYERED = ("RGBA", "RGBa", "LA", "La", "PA")  # modes with transparency
LEAST_SIDE = 2  # pixels; a line of pixels is no picture, and processors divide by its side


@dataclass(frozen=True)
class Picture:
    """A photo that could be read: upright, RGB, 8 bits; `sha256` and `size` are those of its file."""

    pixels: Image.Image
    sha256: str
    size: int


@dataclass(frozen=True)
class Unreadable:
    """A photo that could not; the reason in a few words."""

    reason: str
    sha256: str | None = None
    size: int | None = None


def read_picture(path: Path) -> Picture | Unreadable:
    """One photo. A truncated file counts as unreadable: half a picture would pass for a whole one."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return Unreadable(error.strerror or "cannot be read")
    digest = hashlib.sha256(data).hexdigest()
    if not data:
        return Unreadable("empty file", digest, 0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, once per photo
            with Image.open(io.BytesIO(data)) as image:
                pixels = upright_rgb(image)
    except UnidentifiedImageError:
        return Unreadable("not a picture", digest, len(data))
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        return Unreadable(" ".join(str(error).split())[:120] or type(error).__name__, digest, len(data))
    if min(pixels.size) < LEAST_SIDE:
        return Unreadable(f"only {pixels.width} x {pixels.height} pixels", digest, len(data))
    return Picture(pixels, digest, len(data))


def upright_rgb(image: Image.Image) -> Image.Image:
    """The picture as people see it: turned by its EXIF orientation, 8 bits, RGB, transparent parts on white.

    Raises OSError or ValueError where the file ends early or its pixels have no defined range.
    """
    image.load()
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        image = _eight_bits(image)
    elif image.mode == "F":
        raise ValueError("pixels are floating-point numbers of no defined range")
    if image.mode in LAYERED or "transparency" in image.info:
        layered = image.convert("RGBA")
        image = Image.new("RGBA", layered.size, (*WHITE, 255))
        image.alpha_composite(layered)
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit grey (also where it is held in 32 bits) to 8; Pillow's own conversion would cut off at 255."""
    values = np.asarray(image)
    if values.size and (values.min() < 0 or values.max() > 0xFFFF):
        raise ValueError("pixels are integers of more than 16 bits")
    return Image.fromarray((values.astype(np.uint32) >> 8).astype(np.uint8))
