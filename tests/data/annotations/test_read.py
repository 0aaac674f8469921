"""Every format of captions and images: the same result from the same images, and one sentence for what is wrong."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from lgsf.data.annotations.model import SPLIT_NAMES, Annotations
from lgsf.data.annotations.read import read_annotations
from lgsf.data.annotations.settings import AnnotationSettings
from lgsf.system.errors import LgsfError
from tests.support.annotation_files import (
    names,
    texts,
    write_coco,
    write_flickr,
    write_json,
    write_karpathy_coco,
    write_karpathy_flickr,
    write_table,
)

ADAPTER = TypeAdapter(AnnotationSettings)


def read(settings: dict[str, Any]) -> Annotations:
    return read_annotations(ADAPTER.validate_python(settings))


def ids(annotations: Annotations) -> dict[str, list[str]]:
    """Split -> image ids in order."""
    return {split: [image.image_id for image in annotations.split(split).images] for split in SPLIT_NAMES}


def expected(*wanted: str) -> list[int]:
    """COCO's numbers of some of Karpathy's splits, in the order of his file."""
    return [number for number, (split, _) in names().items() if split in wanted]


def test_karpathy_coco_keeps_order_numbers_and_five_captions(tmp_path: Path) -> None:
    path = write_karpathy_coco(tmp_path / "dataset_coco.json")
    found = read({"format": "karpathy", "path": str(path)})
    assert ids(found) == {
        "train": [str(n) for n in expected("train", "restval")],
        "dev": [str(n) for n in expected("val")],
        "test": [str(n) for n in expected("test")],
    }
    test = found.split("test")
    assert [c.caption_id for c in test.captions] == [str(10 * n + k) for n in expected("test") for k in range(5)]
    assert [c.text for c in test.captions[:3]] == [t.strip() for t in texts(391895)[:3]]
    assert test.images[0].file_name == "val2014/COCO_val2014_000000391895.jpg"
    assert found.split("train").images[0].file_name.startswith("train2014/COCO_train2014_")
    assert found.notes == {"captions beyond the first 5 of an image": 1}
    assert found.files == (path,)


def test_karpathy_without_restval_and_with_all_captions(tmp_path: Path) -> None:
    path = write_karpathy_coco(tmp_path / "dataset_coco.json")
    found = read({"format": "karpathy", "path": str(path), "restval": False, "captions_per_image": None})
    assert ids(found)["train"] == [str(n) for n in expected("train")]
    assert len(found.split("test").captions) == 16
    assert found.notes == {"restval images": 2}


def test_karpathy_flickr_is_called_by_its_files(tmp_path: Path) -> None:
    path = write_karpathy_flickr(tmp_path / "dataset_flickr30k.json")
    test = read({"format": "karpathy", "path": str(path)}).split("test")
    assert [image.image_id for image in test.images] == [f"{n}.jpg" for n in expected("test")]
    assert [c.caption_id for c in test.captions[:2]] == ["391895.jpg#0", "391895.jpg#1"]


@pytest.mark.parametrize("year", [2014, 2017])
def test_coco_with_karpathys_lists_is_karpathys_json(tmp_path: Path, year: int) -> None:
    found = read(write_coco(tmp_path, year=year))
    theirs = read({"format": "karpathy", "path": str(write_karpathy_coco(tmp_path / "dataset_coco.json"))})
    assert {split: sorted(own) for split, own in ids(found).items()} == {k: sorted(v) for k, v in ids(theirs).items()}
    assert ids(found)["test"] == ids(theirs)["test"]  # in the order of the list
    for split in ("dev", "test"):
        assert found.split(split).captions == theirs.split(split).captions
    image = found.images[0]
    assert image.size == (640, 480) and image.licence == "Attribution License"
    table = found.split("dev").image_table()
    assert list(table) == ["image_id", "file_name", "width", "height", "licence"]
    wanted = [name if year == 2014 else name[-16:] for split, name in names().values() if split == "val"]
    assert table["file_name"].tolist() == wanted


def test_instances_are_corners_without_crowds(tmp_path: Path) -> None:
    found = read(write_coco(tmp_path))
    assert sorted(found.boxes) == [str(n) for n in sorted(names())[:8]]
    for boxes in found.boxes.values():
        assert boxes.dtype == np.float32
        assert boxes.tolist() == [[10, 20, 210, 120], [310, 20, 510, 120]]
    assert found.notes["crowd boxes"] == 8
    assert set(found.split("test").boxes) <= {image.image_id for image in found.split("test").images}


def test_coco_leaves_out_what_no_list_names_and_says_so(tmp_path: Path) -> None:
    settings = write_coco(tmp_path)
    (tmp_path / "train.txt").write_text("".join(f"{n}\n" for n in expected("train")))
    found = read({**settings, "lists": {**settings["lists"], "train": str(tmp_path / "train.txt")}})
    assert ids(found)["train"] == [str(n) for n in expected("train")]
    assert found.notes["images in no list"] == 2


def test_flickr_tokens_have_the_ids_of_the_judgements(tmp_path: Path) -> None:
    found = read(write_flickr(tmp_path))
    assert ids(found)["test"] == [f"{n}_ab.jpg" for n in expected("test")]
    assert found.split("dev").captions[6].caption_id == f"{expected('val')[1]}_ab.jpg#1"
    assert found.notes == {"images in no list": 1}
    assert len(found.captions) == 60


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl"])
def test_ones_own_table(tmp_path: Path, ending: str) -> None:
    found = read({"format": "table", "path": str(write_table(tmp_path / f"mine{ending}"))})
    assert ids(found)["dev"] == [f"shots/{n}.png" for n in expected("val")]
    assert [c.text for c in found.split("test").captions] == [
        t.strip() for n in expected("test") for t in texts(n)[: 1 + n % 3]
    ]
    assert found.split("test").captions[0].caption_id == "shots/391895.png#0"
    assert found.split("test").image_table()["file_name"][0] == "shots/391895.png"


def test_a_table_may_bring_its_own_ids_and_licences(tmp_path: Path) -> None:
    rows = [
        {
            "image": f"{k}.jpg",
            "image_id": 70 + k,
            "caption": f"a {k}",
            "caption_id": 900 + k,
            "split": s,
            "licence": "CC0",
        }
        for k, s in enumerate(["train", "validation", "test"])
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = read({"format": "table", "path": str(tmp_path / "a.jsonl")})
    assert ids(found) == {"train": ["70"], "dev": ["71"], "test": ["72"]}
    assert [c.caption_id for c in found.captions] == ["900", "901", "902"]
    assert found.images[1].licence == "CC0"


def test_a_table_without_splits_takes_lists(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("image,caption\n" + "".join(f"{k}.jpg,dog {k}\n" for k in range(4)))
    (tmp_path / "dev.txt").write_text("3\n")
    (tmp_path / "test.txt").write_text("2.jpg\n")
    lists = {"dev": str(tmp_path / "dev.txt"), "test": str(tmp_path / "test.txt")}
    found = read({"format": "table", "path": str(tmp_path / "a.csv"), "lists": lists})
    assert ids(found) == {"train": ["0.jpg", "1.jpg"], "dev": ["3.jpg"], "test": ["2.jpg"]}


def test_captions_of_an_image_need_not_stand_together(tmp_path: Path) -> None:
    text = "caption,split,image\na,train,x.jpg\nb,val,y.jpg\nc,train,x.jpg\nd,test,z.jpg\n"
    (tmp_path / "a.csv").write_text(text, encoding="utf-8-sig")
    train = read({"format": "table", "path": str(tmp_path / "a.csv")}).split("train")
    assert [(c.caption_id, c.text) for c in train.captions] == [("x.jpg#0", "a"), ("x.jpg#1", "c")]


def test_captions_lose_what_nobody_sees_and_nothing_else(tmp_path: Path) -> None:
    text = "image,caption,split\nx.jpg,\ufeffA  caf\u00e9\u00ad  dog,train\ny.jpg,b,dev\nz.jpg,c,test\n"
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    assert read({"format": "table", "path": str(tmp_path / "a.csv")}).captions[0].text == "A caf\u00e9 dog"
    (tmp_path / "a.csv").write_text(text.replace("y.jpg,b", "y.jpg,\u200e"), encoding="utf-8")
    explains(tmp_path / "a.csv", "caption 'y.jpg#0' is empty", {"format": "table", "path": str(tmp_path / "a.csv")})


def test_limits_keep_the_first_images_and_their_captions(tmp_path: Path) -> None:
    full = read(write_coco(tmp_path))
    some = full.limited(train=4, rest=2)
    assert ids(some) == {split: own[: 4 if split == "train" else 2] for split, own in ids(full).items()}
    assert {c.image_id for c in some.captions} == {image.image_id for image in some.images}
    assert some.caption_table()["image"].max() == 7


Change = Callable[[dict[str, Any]], Any]

KARPATHY_FAULTS: list[tuple[str, Change, str]] = [
    ("no images", lambda c: c.pop("images"), r"no list 'images': it should be Karpathy's dataset_coco.json"),
    ("not an object", lambda c: c["images"].__setitem__(2, 7), r"images\[2\] is not an object"),
    ("no file name", lambda c: c["images"][1].pop("filename"), r"images\[1\]: 'filename' is missing, and should be text"),
    ("split", lambda c: c["images"][3].update(split="valid"), r"images\[3\]: the split 'valid' is none of"),
    ("number", lambda c: c["images"][3].update(cocoid="x"), r"images\[3\]: 'cocoid' is 'x', and should be a whole number"),
    ("twice", lambda c: c["images"][3].update(cocoid=391895), r"the image id '391895' occurs twice"),
    ("no captions", lambda c: c["images"][0].update(sentences=[]), r"image '391895' has no caption"),
    ("no text", lambda c: c["images"][0]["sentences"][1].pop("raw"), r"images\[0\]\.sentences\[1\]: 'raw' is missing"),
    ("empty text", lambda c: c["images"][0]["sentences"][1].update(raw=" \n"), r"caption '3918951' is empty"),
    ("bytes", lambda c: c["images"][0]["sentences"][1].update(raw="b'a dog'"), r"printed Python bytes literal"),
    ("same id", lambda c: c["images"][0]["sentences"][1].update(sentid=3918950), r"caption id '3918950' occurs twice"),
    ("way out", lambda c: c["images"][0].update(filepath="../../etc"), r"does not stay in the folder of photos"),
    ("no dev", lambda c: [i.update(split="test") for i in c["images"] if i["split"] == "val"], r"the split dev has no image"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "sentence"), [f[1:] for f in KARPATHY_FAULTS], ids=[f[0] for f in KARPATHY_FAULTS])
def test_what_is_wrong_with_karpathys_json(tmp_path: Path, change: Change, sentence: str) -> None:
    path = write_karpathy_coco(tmp_path / "dataset_coco.json")
    content = json.loads(path.read_text())
    change(content)
    write_json(path, content)
    explains(path, sentence, {"format": "karpathy", "path": str(path)})


COCO_FAULTS: list[tuple[str, str, Change, str]] = [
    ("no annotations", "captions", lambda c: c.pop("annotations"), r"no list 'annotations': it should be COCO's captions"),
    ("image list", "captions", lambda c: c.update(images={}), r"no list 'images'"),
    ("no id", "captions", lambda c: c["annotations"][3].pop("id"), r"annotations\[3\]: 'id' is missing"),
    ("text id", "captions", lambda c: c["images"][0].update(id="7"), r"images\[0\]: 'id' is '7', and should be a whole number"),
    ("no caption", "captions", lambda c: c["annotations"][0].pop("caption"), r"annotation 3918950: 'caption' is missing"),
    ("no file", "captions", lambda c: c["images"][0].pop("file_name"), r"image 391972: 'file_name' is missing"),
    ("stranger", "captions", lambda c: c["annotations"][0].update(image_id=5), r"caption 3918950 belongs to image 5, which"),
    ("twice", "captions", lambda c: c["images"].append(c["images"][0]), r"the id 391972 occurs twice"),
    ("height", "captions", lambda c: c["images"][0].pop("height"), r"image 391972: 'height' is missing"),
    ("box", "instances", lambda c: c["annotations"][0].update(bbox=[1, 2, -3, 4]), r"annotation 100: the bbox .* is not x, y, w"),
    ("short box", "instances", lambda c: c["annotations"][0].update(bbox=[1, 2]), r"is not x, y, width, height"),
    ("no box", "instances", lambda c: c["annotations"][0].pop("bbox"), r"annotation 100: 'bbox' is missing"),
    ("others", "instances", lambda c: [a.update(image_id=9) for a in c["annotations"]], r"has a box of none of the images"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "change", "sentence"), [f[1:] for f in COCO_FAULTS], ids=[f[0] for f in COCO_FAULTS])
def test_what_is_wrong_with_cocos_json(tmp_path: Path, kind: str, change: Change, sentence: str) -> None:
    settings = write_coco(tmp_path)
    path = tmp_path / f"{kind}_val2014.json"
    content = json.loads(path.read_text())
    change(content)
    write_json(path, content)
    explains(path, sentence, settings)


def test_instances_in_the_place_of_captions_are_called_so(tmp_path: Path) -> None:
    settings = write_coco(tmp_path)
    explains(tmp_path / "instances_val2014.json", "holds instances: it should be COCO's captions JSON",
             {**settings, "captions": settings["instances"], "instances": []})  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [b"", b'{"images": [', b"[]", b"\xff\xfe{}", b"[" * 100_000],
    ids=["empty", "cut", "list", "bytes", "deep"],
)
@pytest.mark.parametrize("kind", ["karpathy", "coco"])
def test_files_that_are_no_json_objects(tmp_path: Path, content: bytes, kind: str) -> None:
    settings = write_coco(tmp_path)
    path = tmp_path / "captions_val2014.json"
    path.write_bytes(content)
    explains(
        path,
        "not valid JSON|not a JSON object",
        settings if kind == "coco" else {"format": "karpathy", "path": str(path)},
    )


LIST_FAULTS = [
    ("stranger", "val2014/COCO_val2014_000000000001.jpg 1\n", r"test_images.txt, line 1: .* is none of the images of"),
    ("twice", "391895\n391895\n", r"line 2: the image '391895' is listed already \(.*line 1\)"),
    ("both", "{dev}", r"line 1: the image .* is listed already \(.*karpathy_val_images.txt, line 1\)"),
    ("blank", "391895\n\n391930\n", r"line 2: the image is empty"),
]


@pytest.mark.parametrize(("lines", "sentence"), [f[1:] for f in LIST_FAULTS], ids=[f[0] for f in LIST_FAULTS])
def test_what_is_wrong_with_lists(tmp_path: Path, lines: str, sentence: str) -> None:
    settings = write_coco(tmp_path)
    path = Path(settings["lists"]["test"])
    path.write_text(lines.replace("{dev}", Path(settings["lists"]["dev"]).read_text()))
    explains(path, sentence, settings)


TABLE_FAULTS = [
    ("no header", ".csv", "a.jpg,dog,train\n", r"no column 'image', only a.jpg, dog, train: name it in the first line"),
    ("nothing", ".csv", "", r"is empty: its first line must name the columns image, caption, split"),
    (
        "comma",
        ".csv",
        "image,caption,split\na.jpg,a dog, running,train\n",
        r"line 2 has 4 fields and the first line names 3",
    ),
    ("quote", ".csv", 'image,caption,split\na.jpg,"a dog,train\n', r"is not CSV"),
    ("empty", ".csv", "image,caption,split\na.jpg,,train\n", r"line 2: the column 'caption' is empty"),
    (
        "split",
        ".csv",
        "image,caption,split\na.jpg,dog,eval\n",
        r"line 2: the split 'eval' is none of train, dev and test",
    ),
    (
        "moves",
        ".csv",
        "image,caption,split\na.jpg,dog,train\na.jpg,cat,test\n",
        r"line 3: the image 'a.jpg' has another",
    ),
    ("repeated", ".csv", "image,caption,split,split\n", r"has the column 'split' twice"),
    ("no dev", ".tsv", "image\tcaption\tsplit\na.jpg\tdog\ttrain\n", r"the split dev has no image"),
    ("absolute", ".csv", "image,caption,split\n/a.jpg,dog,train\n", r"'/a.jpg' .* does not stay in the folder"),
    ("no json", ".jsonl", '{"image": "a.jpg"\n', r"line 1 is not valid JSON"),
    ("no object", ".jsonl", "\n[1]\n", r"line 2 is not an object: write one object per line"),
    ("number", ".jsonl", '{"image": 3, "caption": "a", "split": "test"}', r"line 1: 'image' is 3 and should be text"),
    ("missing", ".jsonl", '{"image": "3", "split": "test"}', r"line 1: the column 'caption' is empty"),
]


@pytest.mark.parametrize(
    ("ending", "content", "sentence"), [f[1:] for f in TABLE_FAULTS], ids=[f[0] for f in TABLE_FAULTS]
)
def test_what_is_wrong_with_a_table(tmp_path: Path, ending: str, content: str, sentence: str) -> None:
    path = tmp_path / f"mine{ending}"
    path.write_text(content)
    explains(path, sentence, {"format": "table", "path": str(path)})


def test_a_table_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_bytes(b"image,caption,split\na.jpg,caf\xe9,train\n")
    explains(path, r"line 2 is not UTF-8 \(byte 9\): convert the file", {"format": "table", "path": str(path)})


def test_what_is_wrong_with_tokens(tmp_path: Path) -> None:
    settings = write_flickr(tmp_path)
    path = Path(settings["path"])
    path.write_text(path.read_text() + "1000.jpg\ta caption without number\n")
    explains(path, r"line 66: .* is not an image, # and a number, a tab and a caption", settings)


@pytest.mark.parametrize("format_", ["karpathy", "flickr", "table", "coco"])
def test_absent_files_are_named(tmp_path: Path, format_: str) -> None:
    gone = str(tmp_path / "gone.json")
    lists = {"dev": gone, "test": gone}
    settings: dict[str, dict[str, Any]] = {
        "karpathy": {"path": gone}, "flickr": {"path": gone, "lists": lists}, "table": {"path": gone},
        "coco": {"captions": [gone], "lists": lists},
    }  # fmt: skip
    explains(Path(gone), "is missing: check the path", {"format": format_, **settings[format_]})


def test_most_of_the_files_is_never_kept(tmp_path: Path) -> None:
    """Polygons are most of COCO's instances: read without them, the peak stays near the size of the text."""
    settings = write_coco(tmp_path)
    path = tmp_path / "instances_val2014.json"
    content = json.loads(path.read_text())
    one = content["annotations"][0] | {"segmentation": [[k + 0.25 for k in range(500)]]}
    content["annotations"] = [one | {"id": k} for k in range(1000)]
    write_json(path, content)
    kept = peak(lambda: read(settings))
    everything = peak(lambda: json.loads(path.read_bytes()))
    assert kept < 0.6 * everything, (kept, everything)


def peak(work: Callable[[], object]) -> int:
    """Most bytes of Python objects at once."""
    tracemalloc.start()
    work()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def explains(path: Path, sentence: str, settings: dict[str, Any]) -> None:
    with pytest.raises(LgsfError, match=sentence) as raised:
        read(settings)
    message = str(raised.value)
    assert str(path) in message and "\n" not in message and message.endswith("."), message
