"""Whatever stands in the place of whatever in a JSON file of annotations: a sentence, or a dataset; never a traceback."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from lgsf.data.annotations.read import read_annotations
from lgsf.data.annotations.settings import AnnotationSettings
from lgsf.system.errors import LgsfError
from tests.support.annotation_files import write_coco, write_json, write_karpathy_coco

VALUES: list[Any] = [None, True, -1, float("nan"), "", [], [None], {"id": 1}]
Place = tuple[str | int, ...]


def places(content: Any, place: Place = ()) -> Iterator[Place]:
    """Every place in the file; of lists the first entry."""
    yield place
    items = (
        content.items() if isinstance(content, dict) else enumerate(content[:1]) if isinstance(content, list) else ()
    )
    for key, value in items:
        yield from places(value, (*place, key))


def changed(content: Any, place: Place, value: Any) -> Any:
    """The content with `value` at `place`."""
    if not place:
        return value
    whole = copy.deepcopy(content)
    inner = whole
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return whole


@pytest.mark.parametrize("kind", ["karpathy", "captions", "instances"])
def test_any_value_anywhere(tmp_path: Path, kind: str) -> None:
    settings: dict[str, Any] = write_coco(tmp_path)
    path = tmp_path / f"{kind}_val2014.json"
    if kind == "karpathy":
        settings = {"format": "karpathy", "path": str(write_karpathy_coco(path))}
    parsed = TypeAdapter(AnnotationSettings).validate_python(settings)
    content = json.loads(path.read_text())
    read, sentences = 0, list[tuple[Place, Any, str]]()
    for place in places(content):
        for value in VALUES:
            write_json(path, changed(content, place, value))
            try:
                read_annotations(parsed)
                read += 1
            except LgsfError as error:
                sentences.append((place, value, str(error)))
    assert [found for found in sentences if str(tmp_path) not in found[2] or "\n" in found[2]] == []
    assert len(sentences) > 40 and read > 10
