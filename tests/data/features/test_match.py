"""Which features are which image's: one rule for all images, found by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from lgsf.data.annotations.model import Image
from lgsf.data.features.match import match
from lgsf.system.errors import LgsfError

COCO = [
    Image("391895", "val2014/COCO_val2014_000000391895.jpg", "train"),
    Image("60623", "train2014/COCO_train2014_000000060623.jpg", "test"),
]
OWN = [Image("a", "x/0001.png", "train"), Image("b", "x/0002.png", "test")]
SOURCE = Path("pack.tsv")


@pytest.mark.parametrize(
    ("images", "keys", "aliases", "expected"),
    [
        (COCO, ["60623", "391895", "7"], {}, "image id"),
        (COCO, ["000000391895", "000000060623"], {}, "image id as a number"),
        (COCO, ["COCO_val2014_000000391895", "COCO_train2014_000000060623"], {}, "file name without ending"),
        (COCO, ["COCO_val2014_000000391895.jpg", "COCO_train2014_000000060623.jpg"], {}, "file name"),
        (COCO, ["COCO_val2014_000000391895", "COCO_val2014_000000060623"], {}, "image id as a number"),
        (OWN, ["0001", "0002"], {}, "file name without ending"),
        (OWN, ["2", "1"], {}, "number at the end of the file name"),
        (OWN, ["k1", "k2"], {"k1": "0001.png", "k2": "0002.png"}, "id of the mapping"),
        (OWN, ["p", "q"], {"a": "p.jpg", "b": "q.jpg"}, "photo of the mapping"),
    ],
)
def test_the_rule_is_found(images: list[Image], keys: list[str], aliases: dict[str, str], expected: str) -> None:
    found, rule = match(images, keys, aliases, SOURCE)
    assert rule == expected
    assert set(found) == {image.image_id for image in images}
    assert set(found.values()) <= set(keys) and len(set(found.values())) == 2


def test_a_rule_that_serves_some_images_is_none() -> None:
    sentence = (
        r"pack.tsv: 1 of 2 images have no features of their own, for example 'x/0002.png' \(compared by image id; "
        r"features are called 'a' and the like\)"
    )
    with pytest.raises(LgsfError, match=sentence):
        match(OWN, ["a", "0002"], {}, SOURCE)


def test_two_images_never_share_features() -> None:
    images = [Image("a", "x/1.png", "train"), Image("b", "y/1.png", "test")]
    with pytest.raises(LgsfError, match="1 of 2 images have no features of their own"):
        match(images, ["1"], {}, SOURCE)


def test_the_first_rule_wins_over_numbers_that_mean_something_else() -> None:
    """Ids 1 and 2 are also numbers of files, crosswise."""
    images = [Image("1", "shot_2.png", "train"), Image("2", "shot_1.png", "test")]
    assert match(images, ["1", "2"], {}, SOURCE)[0] == {"1": "1", "2": "2"}


def test_a_number_that_two_keys_end_in_names_neither() -> None:
    with pytest.raises(LgsfError, match="have no features of their own"):
        match(OWN, ["x_1", "y_1", "x_2"], {}, SOURCE)
