"""Which features belong to which image: packs call images by id, file name, or COCO's padded number."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath

from lgsf.data.annotations.model import Image
from lgsf.system.errors import LgsfError


def match(
    images: Sequence[Image], keys: Collection[str], aliases: Mapping[str, str], source: Path
) -> tuple[dict[str, str], str]:
    """(image id -> key, the rule in words): the first rule by which every image has features of its own.

    One rule for all: a rule per image would let a number that is a row here and an id there join the wrong two.
    `aliases` is the pack's own mapping of image id to file name of the photo.

    Raises LgsfError where no rule serves, with the best one and the images that it leaves without features.
    """
    rules = _rules(keys, aliases)
    best = ("", -1, "")
    for words, rule in rules.items():
        found: dict[str, str] = {}
        for image in images:
            key = rule(image)
            if key is not None and key in keys:
                found[image.image_id] = key
        if len(found) == len(images) and len(set(found.values())) == len(images):
            return found, words
        hits = len(set(found.values()))
        if hits > best[1]:
            absent = next((image for image in images if image.image_id not in found), images[0])
            best = (words, hits, absent.file_name)
    words, hits, absent_name = best
    example = next(iter(keys), "none")
    raise LgsfError(
        f"{source}: {len(images) - hits} of {len(images)} images have no features of their own, for example "
        f"{absent_name!r} (compared by {words}; features are called {example!r} and the like): give features of all "
        "images, or leave these out of the annotations."
    )


def _rules(keys: Collection[str], aliases: Mapping[str, str]) -> dict[str, Callable[[Image], str | None]]:
    """Words -> what an image's features are called by this rule."""
    by_photo = {name: key for key, name in aliases.items()}
    by_number = _by_number(keys)
    rules: dict[str, Callable[[Image], str | None]] = {
        "image id": lambda image: image.image_id,
        "file name": lambda image: PurePosixPath(image.file_name).name,
        "file name without ending": lambda image: PurePosixPath(image.file_name).stem,
        "image id as a number": lambda image: by_number.get(_number(image.image_id)),
        "number at the end of the file name": lambda image: by_number.get(_number(image.file_name)),
    }
    if aliases:
        rules["id of the mapping"] = lambda image: by_photo.get(PurePosixPath(image.file_name).name)
        rules["photo of the mapping"] = lambda image: PurePosixPath(aliases.get(image.image_id, "")).stem or None
    return rules


def _by_number(keys: Collection[str]) -> dict[int | None, str]:
    """Number that a key ends in -> key, for numbers that only one key ends in."""
    found: dict[int | None, str] = {}
    shared: set[int | None] = {None}
    for key in keys:
        number = _number(key)
        if number in found:
            shared.add(number)
        found[number] = key
    return {number: key for number, key in found.items() if number not in shared}


def _number(name: str) -> int | None:
    """391895 for COCO_val2014_000000391895.jpg, 000000391895.jpg and 391895; None for what has no such end."""
    digits = PurePosixPath(name).name.partition(".")[0].rpartition("_")[2]
    return int(digits) if digits.isdecimal() and digits.isascii() else None
