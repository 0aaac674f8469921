"""Lists of images by split: one line per image, as Karpathy's, Flickr8k's and Flickr30K Entities' are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from lgsf.data.annotations.lines import read_lines
from lgsf.data.annotations.model import SplitName
from lgsf.data.annotations.settings import Lists
from lgsf.system.errors import LgsfError


def split_by_lists(lists: Lists, names: Mapping[str, str], source: Path) -> dict[str, SplitName]:
    """image id -> split, in the order of the lists; `names` is image id -> file name.

    A line is a file name with or without its folders and its ending, an image id, or several of these apart by
    spaces (Karpathy's lists have a path and COCO's number). Without a list for train, whatever no list names is
    training, in the order of `names`. Images in no list are not in the result.

    Raises LgsfError for a line that is none of the images, and for an image that is listed twice.
    """
    known = _known(names)
    found: dict[str, SplitName] = {}
    placed: dict[str, str] = {}
    paths: list[tuple[SplitName, str | None]] = [("train", lists.train), ("dev", lists.dev), ("test", lists.test)]
    for split, path in paths:
        for number, line in enumerate(read_lines(Path(path), "image") if path else (), start=1):
            image_id = _find(line, known)
            if image_id is None:
                raise LgsfError(
                    f"{path}, line {number}: {line[:80]!r} is none of the images of {source}; correct the list, or "
                    "give the annotations that belong to it."
                )
            place = f"{path}, line {number}"
            if image_id in placed:
                raise LgsfError(
                    f"{place}: the image {line[:80]!r} is listed already ({placed[image_id]}); an image belongs to "
                    "one split, once."
                )
            found[image_id], placed[image_id] = split, place
    if lists.train is None:
        rest: dict[str, SplitName] = {image_id: "train" for image_id in names if image_id not in found}
        found = rest | found
    return found


def _known(names: Mapping[str, str]) -> dict[str, str]:
    """Whatever may stand in a list -> image id; what stands for two images ("") is no name."""
    known: dict[str, str] = {}
    for image_id, file_name in names.items():
        path = PurePosixPath(file_name)
        for name in dict.fromkeys((image_id, file_name, path.name, path.stem)):
            known[name] = image_id if known.get(name, image_id) == image_id else ""
    return known


def _find(line: str, known: Mapping[str, str]) -> str | None:
    """The image that a line names as a whole, or else by its words; None where it does so not at all or not clearly."""
    words: Sequence[str] = (line,) if line in known else line.split()
    matches = {known[name] for word in words for name in (word, PurePosixPath(word).name) if known.get(name)}
    return matches.pop() if len(matches) == 1 else None
