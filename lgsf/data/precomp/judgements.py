"""Graded relevance that people gave to pairs of Flickr8k's test split (Hodosh, Young & Hockenmaier, JAIR 2013).

ExpertAnnotations.txt       image, caption, three ratings from 1 (unrelated) to 4 (describes it without errors)
CrowdFlowerAnnotations.txt  image, caption, share of yes, number of yes, number of no ("does it describe it?")
Fields are separated by tabs; a caption is <image id>#<its place among the captions of that image, from 0>.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lgsf.data.annotations.lines import read_lines
from lgsf.data.precomp.settings import JUDGEMENTS
from lgsf.system.errors import LgsfError


def read_judgements(
    folder: Path, images: pd.DataFrame, captions: pd.DataFrame
) -> tuple[pd.DataFrame | None, list[Path]]:
    """(judged pairs of the split, the files they come from); None where the folder has none.

    The table has image and caption (rows), grade (mean rating, or share of yes) and kind ("expert", "crowd").
    Pairs of other splits are left out. Pairs of an image and its own caption are kept, as everything judged is.

    Raises LgsfError for a line that does not fit, and where a file knows none of the split's images.
    """
    files = {kind: folder / name for kind, name in JUDGEMENTS.items() if (folder / name).is_file()}
    if not files:
        return None, []
    image_row = {str(name): row for row, name in enumerate(images["image_id"])}
    caption_row = {str(name): row for row, name in enumerate(captions["caption_id"])}
    table = pd.concat([_read(path, kind, image_row, caption_row) for kind, path in files.items()], ignore_index=True)
    return (table if len(table) else None), list(files.values())


def _read(path: Path, kind: str, image_row: Mapping[str, int], caption_row: Mapping[str, int]) -> pd.DataFrame:
    rows, known = [], False
    for number, line in enumerate(read_lines(path, "judgement"), start=1):
        fields = line.split("\t")
        try:
            grade = _grade(kind, [float(field) for field in fields[2:]])
        except ValueError:
            raise LgsfError(
                f"{path}, line {number}: {line[:80]!r} is not {_form(kind)}, separated by tabs; "
                "copy the file again or take it out of the folder."
            ) from None
        image, caption = image_row.get(fields[0]), caption_row.get(fields[1])
        known |= image is not None
        if image is not None and caption is not None:
            rows.append((image, caption, grade))
    if not known:
        raise LgsfError(
            f"{path}: none of its images is in the test split, whose ids look like {next(iter(image_row))!r}; "
            "give the pack the file names of its images as ids, or take the file out of the folder."
        )
    table = pd.DataFrame(rows, columns=["image", "caption", "grade"])
    if (repeated := table.duplicated(["image", "caption"])).any():
        image, caption = table.loc[repeated, ["image", "caption"]].iloc[0]
        raise LgsfError(f"{path}: image row {image} and caption row {caption} are judged twice; keep one of the lines.")
    types = {"image": np.int32, "caption": np.int32, "grade": np.float32}
    return table.astype(types).assign(kind=kind)


def _form(kind: str) -> str:
    return {
        "expert": "image, caption and three ratings from 1 to 4",
        "crowd": "image, caption, share of yes, number of yes and number of no",
    }[kind]


def _grade(kind: str, numbers: Sequence[float]) -> float:
    """Mean rating, or share of yes; ValueError for anything but three numbers that fit."""
    first, second, third = numbers
    if kind == "expert":
        if not all(1 <= rating <= 4 for rating in numbers):
            raise ValueError("a rating outside 1..4")
        return (first + second + third) / 3
    if second + third <= 0 or min(second, third) < 0 or abs(first - second / (second + third)) > 0.01:
        raise ValueError("a share that is not that of its counts")
    return second / (second + third)
