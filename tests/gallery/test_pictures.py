"""Pictures are found under every usual name and never take more room than they were given."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lgsf.data.layout import Dataset, Split, open_dataset
from lgsf.data.pictures import find_pictures
from lgsf.gallery.pictures import LARGE, SMALL, read_credits, thumbnails
from lgsf.system.errors import LgsfError


def split_of(root: Path, ids: list[str], names: list[str]) -> tuple[Dataset, Split]:
    data = open_dataset(root)
    return data, replace(data.split("test"), images=pd.DataFrame({"image_id": ids, "file_name": names}))


def test_photos_are_found_by_name_by_id_and_as_coco_names_them(tiny_dataset: Path, tmp_path: Path) -> None:
    names = ["dog.jpg", "123.PNG", "COCO_val2014_000000391895.jpg", "000000000042.jpg", "plan.pdf"]
    for name in names:
        (tmp_path / name).touch()
    data, split = split_of(
        tiny_dataset, ["7", "123", "391895", "42", "plan", "8"], ["dog.jpg", "", "", "", "", "no.jpg"]
    )
    found = find_pictures(data, split, tmp_path)
    assert {row: file.name for row, file in found.items()} == dict(enumerate(names[:4]))
    assert find_pictures(data, split, None) == {}


def test_a_missing_folder_is_a_sentence(tiny_dataset: Path, tmp_path: Path) -> None:
    data, split = split_of(tiny_dataset, ["1"], [""])
    with pytest.raises(LgsfError, match=r"no such folder; set datasets\.tiny\.images"):
        find_pictures(data, split, tmp_path / "gone")


def test_a_name_never_leaves_the_folder(tiny_dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.png").touch()
    (tmp_path / "photos").mkdir()
    data, split = split_of(tiny_dataset, ["../secret", "x"], ["../secret.png", str(tmp_path / "secret.png")])
    assert find_pictures(data, split, tmp_path / "photos") == {}


def test_a_file_that_is_no_picture_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"not a picture")
    with pytest.raises(LgsfError, match=r"a\.jpg cannot be read as a picture"):
        thumbnails({0: tmp_path / "a.jpg"}, large=frozenset(), budget=10_000)


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    folder, rng = tmp_path_factory.mktemp("noise"), np.random.default_rng(0)
    for k in range(6):
        Image.fromarray(rng.integers(0, 256, (300, 400, 3), np.uint8)).save(folder / f"{k}.png")
    return {k: folder / f"{k}.png" for k in (3, 1, 5, 0, 2, 4)}


def test_sizes_and_format(noisy: dict[int, Path]) -> None:
    made = thumbnails(noisy, large=frozenset({1}), budget=10**9)
    assert list(made) == list(noisy)
    for row, picture in made.items():
        with Image.open(io.BytesIO(base64.b64decode(picture.data))) as read:
            assert read.format == "WEBP"
            assert read.size == (picture.width, picture.height)
            assert max(read.size) == (LARGE if row == 1 else SMALL)


def test_small_pictures_are_not_blown_up(tmp_path: Path) -> None:
    Image.new("RGB", (50, 20)).save(tmp_path / "a.png")
    assert thumbnails({0: tmp_path / "a.png"}, large=frozenset({0}), budget=10**6)[0].width == 50


def test_pictures_shrink_first_and_then_the_last_ones_go(noisy: dict[int, Path]) -> None:
    def total(made: dict[int, object]) -> int:
        return sum(len(picture.data) for picture in made.values())  # type: ignore[attr-defined]

    whole = thumbnails(noisy, large=frozenset(), budget=10**9)
    smaller = thumbnails(noisy, large=frozenset(), budget=total(whole) - 1)
    assert len(smaller) == 6
    assert smaller[0].width < whole[0].width
    fewer = thumbnails(noisy, large=frozenset(), budget=total(whole) // 12)
    assert 0 < len(fewer) < 6
    assert list(fewer) == list(noisy)[: len(fewer)]
    assert total(fewer) <= total(whole) // 12
    assert thumbnails(noisy, large=frozenset(), budget=0) == {}


def test_credits_come_with_the_photos(tmp_path: Path) -> None:
    assert read_credits(None) == read_credits(tmp_path) == {}
    path = tmp_path / "ATTRIBUTION.csv"
    path.write_text("image_id,file_name,licence,flickr_url\n1,a.jpg,CC BY 2.0,https://x.y/a\n2,b.jpg,,https://x.y/b\n")
    assert read_credits(tmp_path) == {"a.jpg": "CC BY 2.0, https://x.y/a", "b.jpg": "https://x.y/b"}
    (tmp_path / "images").mkdir()
    assert read_credits(tmp_path / "images") == read_credits(tmp_path)  # a folder of photos beside the file
    path.write_text("name,licence\na.jpg,CC0\n")
    with pytest.raises(LgsfError, match=r"ATTRIBUTION\.csv needs a column file_name"):
        read_credits(tmp_path)
    path.write_bytes(b"file_name,licence\n\xff,CC0\n")
    with pytest.raises(LgsfError, match="line 2 is not UTF-8"):
        read_credits(tmp_path)
