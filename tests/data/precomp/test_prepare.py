"""Feature packs: what is written, and one sentence for everything that can be wrong with a pack."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lgsf.data.layout import open_dataset
from lgsf.data.precomp import pack
from lgsf.data.precomp.prepare import prepare
from lgsf.data.text import Vocabulary
from lgsf.system.errors import LgsfError
from tests.support.packs import DIM, REGIONS, SPLITS, captions, features, settings, write_pack
from tests.support.verbs import in_a_process


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two images per block, so that every test crosses the border of a block."""
    monkeypatch.setattr(pack, "BLOCK_BYTES", 2 * 2 * REGIONS * DIM * 4)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.dtype(">f4")], ids=str)
def test_images_stored_once_or_repeated_become_the_same_dataset(tmp_path: Path, dtype: np.dtype) -> None:
    folder = write_pack(tmp_path / "pack", dtype=dtype)
    prepare(settings(folder, licence="CC0"), name="mine", root=tmp_path / "out")
    dataset = open_dataset(tmp_path / "out")
    assert dataset.name == "mine"
    assert dataset.manifest["protocol"] == {"folds": 1}
    for name, n in SPLITS.items():
        split = dataset.split(name)
        assert split.regions.dtype == np.dtype(dtype).newbyteorder("=")
        np.testing.assert_array_equal(split.regions.read(np.arange(n)), features(name, dtype))
        assert split.region_counts.tolist() == [1 + i % 3 for i in range(n)]
        assert split.images["image_id"].tolist() == [str(i) for i in range(n)]
        assert split.captions["text"].tolist() == captions(name, 2)
        assert split.caption_image.tolist() == [i for i in range(n) for _ in range(2)]
        assert split.captions["caption_id"].tolist()[:3] == ["0#0", "0#1", "1#0"]
        assert split.boxes is None
        assert dataset.manifest["splits"][name]["captions_per_image"] == {"2": n}
    source = dataset.manifest["source"]
    assert source["layout"] == {"train": "once", "dev": "repeated", "test": "repeated"}
    assert source["licence"] == "CC0"
    assert source["features"] == "unknown"
    assert set(source["sha256"]) == {f"{s}_{k}" for s in SPLITS for k in ("ims.npy", "caps.txt")}
    for file, digest in source["sha256"].items():
        assert digest == hashlib.sha256((folder / file).read_bytes()).hexdigest()


def test_preparing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    folder = write_pack(tmp_path / "pack")
    for out in ("a", "b", "b"):  # the third replaces the second
        prepare(settings(folder), name="mine", root=tmp_path / out)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(tmp_path / "b") for p in (tmp_path / "b").rglob("*") if p.is_file())
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_the_vocabulary_is_that_of_the_training_captions(tmp_path: Path) -> None:
    folder = write_pack(tmp_path / "pack")
    prepare(settings(folder, min_count=2), name="mine", root=tmp_path / "out")
    vocabulary = Vocabulary.load(tmp_path / "out/vocabulary.json")
    expected = Vocabulary.build(captions("train", 2), min_count=2)
    assert vocabulary.words == expected.words
    assert "traindog" in vocabulary.words
    assert "devdog" not in vocabulary.words
    manifest = open_dataset(tmp_path / "out").manifest
    assert manifest["vocabulary"] == {
        "size": len(expected),
        "hash": expected.hash,
        "min_count": 2,
        "tokenizer": "treebank",
    }


def test_limits_keep_the_first_images(tmp_path: Path) -> None:
    folder = write_pack(tmp_path / "pack")
    prepare(settings(folder, limit_train=3, limit_eval=100, folds=2), name="m", root=tmp_path / "out")
    dataset = open_dataset(tmp_path / "out")
    train = dataset.split("train")
    np.testing.assert_array_equal(train.regions.read(np.arange(3)), features("train")[:3])
    assert train.captions["text"].tolist() == captions("train", 2)[:6]
    assert len(dataset.split("test").images) == 4
    assert dataset.manifest["protocol"] == {"folds": 2}


def test_one_caption_per_row(tmp_path: Path) -> None:
    folder = write_pack(tmp_path / "pack", per_image=1)
    prepare(settings(folder, captions_per_image=1), name="m", root=tmp_path / "out")
    assert open_dataset(tmp_path / "out").manifest["source"]["layout"]["test"] == "once"


def test_vectors_without_a_region_axis_are_one_region(tmp_path: Path) -> None:
    folder = write_pack(tmp_path / "pack")
    for prefix in SPLITS:
        np.save(folder / f"{prefix}_ims.npy", features(prefix)[:, 0])
        np.save(folder / f"{prefix}_boxes.npy", np.full((SPLITS[prefix], 4), 0.5, np.float32))
    prepare(settings(folder), name="m", root=tmp_path / "out")
    split = open_dataset(tmp_path / "out").split("test")
    assert split.regions.shape == (4, 1, DIM)
    assert split.region_counts.tolist() == [1, 1, 1, 1]
    assert split.boxes is not None
    assert split.boxes.shape == (4, 1, 4)


def test_a_zero_row_between_regions_is_a_region(tmp_path: Path) -> None:
    folder = write_pack(tmp_path / "pack")
    values = features("train")
    values[2, 1] = 0
    np.save(folder / "train_ims.npy", values)
    prepare(settings(folder), name="m", root=tmp_path / "out")
    assert open_dataset(tmp_path / "out").split("train").region_counts[2] == 3


@pytest.mark.parametrize("per_caption", [False, True])
def test_ids_and_boxes_are_taken_over(tmp_path: Path, per_caption: bool) -> None:
    folder = write_pack(tmp_path / "pack")
    for prefix, n in SPLITS.items():
        ids = [f"{prefix}-{i}.jpg" for i in range(n) for _ in range(1 + per_caption)]
        (folder / f"{prefix}_ids.txt").write_text("\n".join(ids), "utf-8")
        boxes = np.tile(np.array([0.1, 0.2, 0.3, 1.0], np.float16), (n, REGIONS, 1))
        np.save(folder / f"{prefix}_boxes.npy", boxes if prefix == "train" else boxes.repeat(2, axis=0))
    prepare(settings(folder), name="m", root=tmp_path / "out")
    split = open_dataset(tmp_path / "out").split("dev")
    assert split.images["image_id"].tolist() == [f"dev-{i}.jpg" for i in range(4)]
    assert split.images["file_name"].tolist() == split.images["image_id"].tolist()
    assert split.captions["caption_id"].tolist()[:3] == ["dev-0.jpg#0", "dev-0.jpg#1", "dev-1.jpg#0"]
    assert split.boxes is not None
    assert split.boxes.dtype == np.float32
    stored = split.boxes.read(np.arange(4))
    np.testing.assert_allclose(stored[0, 0], [0.1, 0.2, 0.3, 1.0], atol=1e-3)
    assert not stored[0, 1:].any()  # image 0 has one region


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + b"\r\n".join(line.encode() for line in captions("dev", 2)) + b"\r\n",
        "\n".join(captions("dev", 2)).encode(),
        ("\n".join(captions("dev", 2)) + "\n\n \n").encode(),
    ],
    ids=["Windows with a mark", "no newline at the end", "blank lines at the end"],
)
def test_all_common_line_ends_are_read(tmp_path: Path, content: bytes) -> None:
    folder = write_pack(tmp_path / "pack")
    (folder / "dev_caps.txt").write_bytes(content)
    prepare(settings(folder), name="m", root=tmp_path / "out")
    assert open_dataset(tmp_path / "out").split("dev").captions["text"].tolist() == captions("dev", 2)


def test_only_a_newline_ends_a_caption(tmp_path: Path) -> None:
    folder = write_pack(tmp_path / "pack")
    odd = "a dog\u2028runs\x0bto\x85a cat"
    lines = [odd, *captions("dev", 2)[1:]]
    (folder / "dev_caps.txt").write_text("\n".join(lines), "utf-8")
    prepare(settings(folder), name="m", root=tmp_path / "out")
    assert open_dataset(tmp_path / "out").split("dev").captions["text"].iloc[0] == odd


Damage = Callable[[Path], object]


def _edit(file: str, change: Callable[[np.ndarray], object]) -> Damage:
    def damage(folder: Path) -> None:
        values = np.load(folder / file)
        result = change(values)
        np.save(folder / file, values if result is None else np.asarray(result))

    return damage


def _line(file: str, number: int, content: bytes) -> Damage:
    def damage(folder: Path) -> None:
        lines = (folder / file).read_bytes().split(b"\n")
        lines[number - 1] = content
        (folder / file).write_bytes(b"\n".join(lines))

    return damage


def _ids(*lines: str) -> Damage:
    return lambda folder: (folder / "dev_ids.txt").write_text("\n".join(lines), "utf-8")


def _boxes(value: float, shape: tuple[int, ...] = (7, REGIONS, 4)) -> Damage:
    return lambda folder: np.save(folder / "train_boxes.npy", np.full(shape, value, np.float32))


def _set(index: tuple[int, ...], value: float) -> Callable[[np.ndarray], None]:
    return lambda values: values.__setitem__(index, value)


def _shorten(folder: Path) -> None:
    path = folder / "train_ims.npy"
    path.write_bytes(path.read_bytes()[:-8])


FAULTS: dict[str, tuple[Damage, str]] = {
    "no array": (lambda f: (f / "dev_ims.npy").unlink(), "dev_ims.npy is missing"),
    "no captions": (lambda f: (f / "dev_caps.txt").unlink(), "dev_caps.txt is missing"),
    "row too few": (_edit("dev_ims.npy", lambda v: v[:-1]), "dev_ims.npy has 7 rows .* has 8 captions"),
    "caption too many": (_line("dev_caps.txt", 1, b"a\nb"), "dev_ims.npy has 8 rows .* has 9 captions"),
    "truncated": (_shorten, "train_ims.npy is truncated"),
    "not npy": (lambda f: (f / "train_ims.npy").write_bytes(b"PK"), "train_ims.npy is not a .npy array"),
    "pickled": (
        lambda f: np.save(f / "train_ims.npy", np.array([{}] * 7, object), allow_pickle=True),
        "train_ims.npy is not a C-ordered array of plain numbers",
    ),
    "fortran": (_edit("train_ims.npy", np.asfortranarray), "train_ims.npy is not a C-ordered array"),
    "float64": (_edit("train_ims.npy", lambda v: v.astype(np.float64)), "train_ims.npy has dtype float64"),
    "four axes": (_edit("train_ims.npy", lambda v: v[..., None]), r"has shape \(7, 3, 5, 1\)"),
    "no features": (_edit("train_ims.npy", lambda v: v[..., :0]), r"has shape \(7, 3, 0\)"),
    "another size": (_edit("train_ims.npy", lambda v: v[..., :4]), "features of different sizes"),
    "NaN": (_edit("train_ims.npy", _set((5, 0, 1), np.nan)), "train_ims.npy: row 5 .* NaN or infinity"),
    "infinity": (_edit("train_ims.npy", _set((6, 2, 1), -np.inf)), "train_ims.npy: row 6 .* NaN or infinity"),
    "all zero": (_edit("train_ims.npy", _set((3,), 0)), "train_ims.npy: row 3 .* all zero"),
    "unequal copies": (
        _edit("dev_ims.npy", _set((5, 0, 0), 9)),
        "dev_ims.npy: rows 4 and 5 .* belong to one image, '2', and differ: set captions_per_image to 1",
    ),
    "not UTF-8": (_line("dev_caps.txt", 3, b"caf\xe9"), "dev_caps.txt, line 3 is not UTF-8"),
    "empty caption": (_line("dev_caps.txt", 4, b" "), "dev_caps.txt, line 4: the caption is empty"),
    "empty file": (lambda f: (f / "dev_caps.txt").write_bytes(b""), "dev_caps.txt, line 1: .* is empty"),
    "bytes literal": (_line("dev_caps.txt", 1, b"b'a dog'"), "dev_caps.txt, line 1: .* bytes literal"),
    "wrong number of ids": (_ids("a", "b", "c"), "dev_ids.txt has 3 ids for 4 images with 8 captions"),
    "id twice": (_ids("a", "b", "a", "c"), r"dev_ids.txt: the id 'a' stands for two images \(lines 1 and 3\)"),
    "ids of captions": (_ids(*"abcdefgh"), "dev_ids.txt has 8 ids for 4 images .*: give one per image"),
    "empty id": (_ids("a", "", "b", "c"), "dev_ids.txt, line 2: the image id is empty"),
    "boxes for some": (_boxes(0.5), "some splits have _boxes.npy"),
    "shape of boxes": (_boxes(0.5, (7, 4)), r"train_boxes.npy has shape \(7, 4\)"),
}


@pytest.mark.parametrize(("damage", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_a_faulty_pack_is_one_sentence_and_leaves_nothing(tmp_path: Path, damage: Damage, said: str) -> None:
    folder = write_pack(tmp_path / "pack")
    damage(folder)
    with pytest.raises(LgsfError, match=said) as caught:
        prepare(settings(folder), name="m", root=tmp_path / "out")
    message = str(caught.value)
    assert message.startswith(str(folder))
    assert message.endswith(".")
    assert "\n" not in message
    assert not (tmp_path / "out").exists()


def test_the_command_line_says_it_without_a_traceback(tmp_path: Path) -> None:
    folder = write_pack(tmp_path / "pack")
    FAULTS["NaN"][0](folder)
    given = settings(folder).model_dump_json(exclude_unset=True)
    done = in_a_process(["prepare", "--name", "m", "--settings", given, "--out", str(tmp_path / "out")])
    assert done.status == 2
    lines = done.said.strip().splitlines()
    assert len(lines) == 1
    assert "train_ims.npy: row 5" in lines[0]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ([0.0, 0.0, 31.0, 20.0], "row 5 .* outside 0..1; divide pixels"),
        ([-0.1, 0.0, 1.0, 1.0], "row 5 .* outside 0..1"),
        ([np.nan, 0.0, 1.0, 1.0], "row 5 .* outside 0..1"),
        ([0.6, 0.6, 0.3, 0.3], "row 5 .* not x y width height"),
    ],
    ids=["pixels", "negative", "NaN", "width and height"],
)
def test_boxes_must_be_corners_in_parts_of_the_image(tmp_path: Path, box: list[float], said: str) -> None:
    folder = write_pack(tmp_path / "pack")
    for prefix in SPLITS:
        rows = len(np.load(folder / f"{prefix}_ims.npy"))
        boxes = np.tile(np.array([0, 0, 1, 1], np.float32), (rows, REGIONS, 1))
        if prefix == "train":
            boxes[5, 1] = box
        np.save(folder / f"{prefix}_boxes.npy", boxes)
    with pytest.raises(LgsfError, match=f"train_boxes.npy: {said}"):
        prepare(settings(folder), name="m", root=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_fault_leaves_the_dataset_that_stood_there(tmp_path: Path) -> None:
    folder = write_pack(tmp_path / "pack")
    prepare(settings(folder), name="m", root=tmp_path / "out")
    before = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    FAULTS["NaN"][0](folder)
    with pytest.raises(LgsfError):
        prepare(settings(folder), name="m", root=tmp_path / "out")
    assert {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()} == before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"path": "nowhere"}, "nowhere: there is no such folder"),
        ({"test": "dev"}, "two of train, dev and test name the same files"),
        ({"dev": "val"}, "val_ims.npy is missing"),
        ({"folds": 3}, "4 test images do not divide into 3 equal folds"),
        ({"captions_per_image": 3}, "does not fit captions_per_image 3"),
        ({"min_count": 1000}, "min_count is 1000 and no word"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_faulty_settings_are_one_sentence(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    folder = write_pack(tmp_path / "pack")
    with pytest.raises(LgsfError, match=said):
        prepare(settings(folder, **changes), name="m", root=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.shared
@pytest.mark.xdist_group("flickr8k")
def test_the_flickr8k_pack(flickr8k: Path, shared_path: Path) -> None:
    folder = shared_path / "data/f8k_precomp"
    dataset = open_dataset(flickr8k)
    for name, n in (("train", 6_000), ("dev", 1_000), ("test", 1_000)):
        split = dataset.split(name)
        assert split.regions.shape == (n, 36, 256)
        assert split.boxes is not None
        assert len(split.captions) == 5 * n
        assert np.bincount(split.caption_image).tolist() == [5] * n
        last = split.regions.read(np.array([n - 1]))
        np.testing.assert_array_equal(last[0], np.load(folder / f"{name}_ims.npy", mmap_mode="r")[-1])
    test = dataset.split("test")
    assert test.images["image_id"].iloc[0] == "3385593926_d3e9c21170.jpg"
    assert test.captions["text"].iloc[0] == "The dogs are in the snow in front of a fence ."
    rated = pd.read_csv(folder / "ExpertAnnotations.txt", sep="\t", header=None)
    assert rated[1].isin(set(test.captions["caption_id"])).all()  # our caption ids are Flickr8k's own
    words = Vocabulary.load(flickr8k / "vocabulary.json").words
    counted: dict[str, int] = {}
    for line in (folder / "train_caps.txt").read_text("utf-8").splitlines():
        for word in re.findall(r"[a-z]+", line.lower()):
            counted[word] = counted.get(word, 0) + 1
    # Words of letters alone are counted the same way by a plain pattern, apart from halves of contractions.
    frequent = {word for word, count in counted.items() if count >= 4}
    kept = {word for word in words[5:] if word.isascii() and word.isalpha()}
    assert len(kept - frequent) == 0
    assert len(frequent - kept) < 0.02 * len(frequent)


# --- Captions and images ------------------------------------------------------------------------------------------

COUNTS = (4, 5, 5, 6)


def write_ragged(folder: Path, *, rows: str, order: list[int] | None = None) -> list[tuple[str, str]]:
    """A pack whose dev images have 4, 5, 5 and 6 captions, and their (id, caption) in the order of the file."""
    write_pack(folder, per_image=5)
    pairs = [(f"img{i}.jpg", f"a dog of picture {i} runs {k}") for i, count in enumerate(COUNTS) for k in range(count)]
    pairs = [pairs[k] for k in order] if order is not None else pairs
    (folder / "dev_caps.txt").write_text("\n".join(text for _, text in pairs), "utf-8")
    (folder / "dev_ids.txt").write_text("\n".join(id_ for id_, _ in pairs), "utf-8")
    images = [int(id_[3]) for id_, _ in pairs]
    first = list(dict.fromkeys(images))
    np.save(folder / "dev_ims.npy", features("dev")[images if rows == "repeated" else first])
    return pairs


@pytest.mark.parametrize("rows", ["once", "repeated"])
@pytest.mark.parametrize("order", ["together", "mixed"])
def test_captions_belong_to_the_image_of_their_id(tmp_path: Path, rows: str, order: str) -> None:
    mixed = np.random.default_rng(1).permutation(sum(COUNTS)).tolist() if order == "mixed" else None
    pairs = write_ragged(tmp_path / "pack", rows=rows, order=mixed)
    prepare(settings(tmp_path / "pack", captions_per_image=5), name="m", root=tmp_path / "out")
    data = open_dataset(tmp_path / "out")
    split = data.split("dev")
    ids = split.images["image_id"].to_numpy()
    assert list(zip(ids[split.caption_image], split.captions["text"], strict=True)) == pairs
    stored = split.regions.read(np.arange(4))
    np.testing.assert_array_equal(stored, features("dev")[[int(id_[3]) for id_ in ids]])
    assert data.manifest["splits"]["dev"]["captions_per_image"] == {"4": 1, "5": 2, "6": 1}
    assert data.manifest["source"]["layout"]["dev"] == rows
    assert split.captions["caption_id"].is_unique
    assert set(split.captions["caption_id"]) >= {"img0.jpg#3", "img3.jpg#5"}


def test_the_advice_for_unequal_numbers_leads_to_the_right_images(tmp_path: Path) -> None:
    """Without ids, or with one per image, the error asks for one id per caption; with them the pairs are right."""
    folder = tmp_path / "pack"
    pairs = write_ragged(folder, rows="repeated")
    (folder / "dev_ids.txt").unlink()
    with pytest.raises(LgsfError, match="give one id per caption in the ids file if images have unequal numbers"):
        prepare(settings(folder, captions_per_image=5), name="m", root=tmp_path / "out")
    (folder / "dev_ids.txt").write_text("\n".join(dict.fromkeys(id_ for id_, _ in pairs)), "utf-8")
    with pytest.raises(LgsfError, match="give one id per caption in the ids file"):
        prepare(settings(folder, captions_per_image=5), name="m", root=tmp_path / "out")
    (folder / "dev_ids.txt").write_text("\n".join(id_ for id_, _ in pairs), "utf-8")
    prepare(settings(folder, captions_per_image=5), name="m", root=tmp_path / "out")
    split = open_dataset(tmp_path / "out").split("dev")
    assert [f"img{row}.jpg" for row in split.caption_image] == [id_ for id_, _ in pairs]


def test_ids_of_captions_that_fit_no_rows_are_refused(tmp_path: Path) -> None:
    write_ragged(tmp_path / "pack", rows="once")
    np.save(tmp_path / "pack/dev_ims.npy", features("dev")[:3])
    with pytest.raises(
        LgsfError, match=r"dev_ims.npy has 3 rows, and .*dev_ids.txt names 4 images for the 20 captions"
    ):
        prepare(settings(tmp_path / "pack", captions_per_image=5), name="m", root=tmp_path / "out")


def test_a_limit_keeps_the_captions_of_the_first_images(tmp_path: Path) -> None:
    pairs = write_ragged(tmp_path / "pack", rows="repeated", order=list(range(19, -1, -1)))
    prepare(settings(tmp_path / "pack", captions_per_image=5, limit_eval=2), name="m", root=tmp_path / "out")
    split = open_dataset(tmp_path / "out").split("dev")
    assert split.images["image_id"].tolist() == ["img3.jpg", "img2.jpg"]
    assert split.captions["text"].tolist() == [text for id_, text in pairs if id_ in ("img3.jpg", "img2.jpg")]


def test_coordinates_that_rounding_put_outside_are_taken(tmp_path: Path) -> None:
    folder = write_pack(tmp_path / "pack")
    for prefix in SPLITS:
        rows = len(np.load(folder / f"{prefix}_ims.npy"))
        boxes = np.tile(np.array([-1e-7, 0.5, 1.0000001, 0.4999999], np.float32), (rows, REGIONS, 1))
        np.save(folder / f"{prefix}_boxes.npy", boxes)
    prepare(settings(folder), name="m", root=tmp_path / "out")
    boxes = open_dataset(tmp_path / "out").split("train").boxes
    assert boxes is not None
    np.testing.assert_array_equal(boxes.read(np.array([0]))[0, 0], [0.0, 0.5, 1.0, 0.5])


def test_the_path_of_a_pack_may_end_in_a_slash_or_begin_at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_pack(tmp_path / "pack")
    given = settings(Path("~/pack")).model_copy(update={})
    assert given.path == str(tmp_path / "pack")
    prepare(given, name="m", root=tmp_path / "out")
    assert open_dataset(tmp_path / "out").name == "m"
