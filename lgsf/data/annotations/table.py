"""One's own data: CSV, tab-separated values or JSON lines, a row per caption.

image       the photo's file name in the folder of photos; several rows may name one image
caption     the text
split       train, dev (or val) or test; not needed where lists of the splits are given
image_id    optional, where the image is called otherwise than its file
caption_id  optional
licence     optional, of the photo
Other columns are ignored.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from lgsf.data.annotations.lists import split_by_lists
from lgsf.data.annotations.model import Annotations, Caption, Image, SplitName, assemble
from lgsf.data.annotations.settings import TableAnnotations
from lgsf.system.errors import LgsfError
from lgsf.system.given import read_text

SPLIT_OF: dict[str, SplitName] = {"train": "train", "dev": "dev", "val": "dev", "validation": "dev", "test": "test"}
COLUMNS = ("image", "caption", "split", "image_id", "caption_id", "licence")
Row = Mapping[str, str]


def read_table(settings: TableAnnotations) -> Annotations:
    """Images in the order of their first rows (or of the lists), captions in the order of their rows."""
    path = Path(settings.path)
    needed = ("image", "caption") if settings.lists else ("image", "caption", "split")
    rows = _json_rows(path) if path.suffix == ".jsonl" else _delimited_rows(path, needed)
    images: dict[str, Image] = {}
    captions: list[Caption] = []
    counts: dict[str, int] = {}
    for place, row in rows:
        for column in needed:
            if not row.get(column, "").strip():
                raise LgsfError(f"{path}, {place}: the column {column!r} is empty; fill it in or remove the row.")
        image = _image(path, place, row, has_split=settings.lists is None)
        if images.setdefault(image.image_id, image) != image:
            raise LgsfError(
                f"{path}, {place}: the image {image.image_id!r} has another file, split or licence than in an "
                "earlier row; give all its rows the same."
            )
        number = counts[image.image_id] = counts.get(image.image_id, -1) + 1
        caption_id = row.get("caption_id", "").strip() or f"{image.image_id}#{number}"
        captions.append(Caption(caption_id, image.image_id, row["caption"]))
    notes = {}
    if settings.lists:
        splits = split_by_lists(settings.lists, {key: image.file_name for key, image in images.items()}, path)
        if left := len(images) - len(splits):
            notes["images in no list"] = left
        images = {
            key: Image(key, images[key].file_name, split, None, images[key].licence) for key, split in splits.items()
        }
        captions = [caption for caption in captions if caption.image_id in images]
    return assemble(
        images.values(),
        captions,
        files=map(Path, settings.files()),
        captions_per_image=settings.captions_per_image,
        notes=notes,
    )


def _image(path: Path, place: str, row: Row, *, has_split: bool) -> Image:
    file_name = row["image"].strip()
    split: SplitName = "train"  # for the lists to say, without the column
    if has_split:
        given = row["split"].strip().lower()
        if given not in SPLIT_OF:
            raise LgsfError(f"{path}, {place}: the split {given!r} is none of train, dev and test; correct it.")
        split = SPLIT_OF[given]
    licence = row.get("licence", "").strip() or None
    return Image(row.get("image_id", "").strip() or file_name, file_name, split, None, licence)


def _delimited_rows(path: Path, needed: tuple[str, ...]) -> Iterator[tuple[str, Row]]:
    """(place in words, row) of a .csv or .tsv file; its first line names the columns."""
    delimiter = "\t" if path.suffix == ".tsv" else ","
    reader = csv.reader(
        io.StringIO(read_text(path, remedy="check the path in the configuration"), newline=""),
        delimiter=delimiter,
        strict=True,
    )
    names: list[str] = []
    try:
        for fields in reader:
            place = f"line {reader.line_num}"
            if not names:
                names = _header(path, fields, needed)
            elif fields:
                if len(fields) != len(names):
                    raise LgsfError(
                        f"{path}, {place} has {len(fields)} fields and the first line names {len(names)}: put "
                        'captions that hold the delimiter into quotes ("...").'
                    )
                yield place, dict(zip(names, fields, strict=True))
    except csv.Error as error:
        raise LgsfError(
            f"{path}, line {reader.line_num} is not {'TSV' if delimiter == chr(9) else 'CSV'} ({error}): "
            'put captions with quotes into quotes and double the inner ones ("a ""big"" dog").'
        ) from None
    if not names:
        raise LgsfError(f"{path} is empty: its first line must name the columns {', '.join(needed)}.")


def _header(path: Path, fields: list[str], needed: tuple[str, ...]) -> list[str]:
    names = [name.strip().lower() for name in fields]
    for column in needed:
        if column not in names:
            raise LgsfError(f"{path} has no column {column!r}, only {', '.join(names)}: name it in the first line.")
    if repeated := [name for name in COLUMNS if names.count(name) > 1]:
        raise LgsfError(f"{path} has the column {repeated[0]!r} twice; keep one of them.")
    return names


def _json_rows(path: Path) -> Iterator[tuple[str, Row]]:
    """(place in words, row) of JSON lines; numbers may stand for ids."""
    for number, line in enumerate(read_text(path, remedy="check the path in the configuration").split("\n"), start=1):
        if not line.strip():
            continue
        place = f"line {number}"
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise LgsfError(f"{path}, {place} is not valid JSON ({error}): write one object per line.") from None
        if not isinstance(row, dict):
            raise LgsfError(f"{path}, {place} is not an object: write one object per line.")
        for column in COLUMNS:
            value = row.get(column, "")
            fine = isinstance(value, str) or (column.endswith("_id") and type(value) is int)
            if not fine:
                raise LgsfError(f"{path}, {place}: {column!r} is {value!r:.60} and should be text; correct it.")
        yield place, {column: str(row[column]) for column in COLUMNS if column in row}
