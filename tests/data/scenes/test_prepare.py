"""The dataset Scenes end to end at a tiny size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pycocotools.coco import COCO

from lgsf.data.layout import SPLITS, open_dataset
from lgsf.data.scenes import prepare as scenes_module
from lgsf.data.scenes.captions import SEEN
from lgsf.data.scenes.files import read_scenes
from lgsf.data.scenes.prepare import false_negatives, prepare, recall
from lgsf.data.scenes.settings import ScenesSource
from lgsf.data.scenes.statements import SceneTable
from lgsf.data.text import Vocabulary
from lgsf.system.errors import LgsfError

SETTINGS = ScenesSource(source="scenes", seed=5, train=16, dev=8, test=8, size=160, min_count=1)
SIZES = {"train": 16, "dev": 8, "test": 8}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes") / "scenes"
    prepare(SETTINGS, name="scenes", root=folder)
    return folder


def test_the_dataset_opens_and_is_whole(root: Path) -> None:
    dataset = open_dataset(root)
    for name, n_images in SIZES.items():
        split = dataset.split(name)
        assert split.regions.shape == (n_images, 12, 83)
        assert len(split.captions) == 5 * n_images
        regions = split.regions.read(np.arange(n_images))
        assert regions.dtype == np.float32
        assert np.isfinite(regions).all()
        assert split.boxes is not None
        boxes = split.boxes.read(np.arange(n_images))
        assert ((boxes >= 0) & (boxes <= 1)).all()
        valid = np.arange(12) < split.region_counts[:, None]
        assert split.region_counts.min() >= 1
        assert (boxes[valid][:, :2] < boxes[valid][:, 2:]).all()
        assert not regions[~valid].any()
        for row in split.images.itertuples():
            with Image.open(root / str(row.file_name)) as picture:
                assert picture.size == (row.width, row.height) == (160, 160)


def test_two_runs_give_the_same_bytes_and_another_seed_does_not(root: Path, tmp_path: Path) -> None:
    prepare(SETTINGS, name="scenes", root=tmp_path / "again")
    assert (tmp_path / "again" / "dataset.json").read_bytes() == (root / "dataset.json").read_bytes()
    first = sorted(p.relative_to(root) for p in root.rglob("*") if p.is_file())
    assert first == sorted(p.relative_to(tmp_path / "again") for p in (tmp_path / "again").rglob("*") if p.is_file())
    for path in first:
        assert (root / path).read_bytes() == (tmp_path / "again" / path).read_bytes(), path
    prepare(SETTINGS.model_copy(update={"seed": 6}), name="scenes", root=tmp_path / "other")
    manifests = [json.loads((folder / "dataset.json").read_text()) for folder in (root, tmp_path / "other")]
    assert manifests[0]["source"]["sha256"]["images/dev"] != manifests[1]["source"]["sha256"]["images/dev"]


LESS = {"twins": "relation", "objects": 2, "shapes": 3, "colours": 4, "named": ("shape", "colour"), "focused": 5}
LESS |= {"relations": ("left_of", "right_of")}


def test_less_variety_holds_in_every_picture_and_caption(tmp_path: Path) -> None:
    prepare(SETTINGS.model_copy(update=LESS), name="scenes", root=tmp_path / "less")
    vocabulary = set(Vocabulary.load(tmp_path / "less" / "vocabulary.json").words)
    assert not vocabulary & {"small", "large", "striped", "dotted", "star", "cross", "heart", "blue", "turquoise"}
    for split in SPLITS:
        scenes = read_scenes(tmp_path / "less" / "source", split)
        assert set(scenes.kinds) == {"relation_twin"}
        items = [item for scene in scenes.scenes for item in scene.objects]
        assert len(items) == 2 * len(scenes.scenes)
        assert {item.shape for item in items} <= {"circle", "square", "triangle"}
        assert {item.colour for item in items} <= {"red", "orange", "yellow", "green"}
        assert {item.fill for item in items} > {"solid"}  # not named, and still varied
        table = SceneTable(scenes.scenes)
        assert {name for one in scenes.statements for _, name, _ in one.relations} == {"left_of", "right_of"}
        for statement, image in zip(scenes.statements, scenes.caption_image.tolist(), strict=True):
            truth = table.truth(statement)
            assert truth[image]
            assert not truth[image ^ 1]


def test_full_variety_goes_unsaid_in_the_manifest(root: Path) -> None:
    settings = json.loads((root / "dataset.json").read_text())["source"]["settings"]
    assert not {*LESS} & {*settings}
    assert {"seed", "size", "position"} <= {*settings}


def test_more_pictures_than_the_variety_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes_module, "_ATTEMPTS", 1)
    settings = SETTINGS.model_copy(update={**LESS, "shapes": 2, "colours": 2, "train": 64})
    with pytest.raises(LgsfError, match=r"no new pair of scenes was found .* ask for fewer pictures"):
        prepare(settings, name="scenes", root=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_coco_reads_captions_and_instances(root: Path) -> None:
    for name, n_images in SIZES.items():
        captions = COCO(str(root / "source" / f"captions_{name}.json"))
        assert len(captions.getImgIds()) == n_images
        texts = [captions.loadAnns(k)[0]["caption"] for k in captions.getAnnIds()]
        assert texts == open_dataset(root).split(name).captions["text"].tolist()
        instances = COCO(str(root / "source" / f"instances_{name}.json"))
        assert set(captions.dataset) == {"info", "licenses", "images", "annotations"}
        assert set(instances.dataset) == {*captions.dataset, "categories"}
        for note in instances.loadAnns(instances.getAnnIds()):
            mask = instances.annToMask(note)
            assert mask.sum() == note["area"] > 0
            x, y, width, height = (int(v) for v in note["bbox"])
            assert mask[y : y + height, x : x + width].sum() == note["area"]
            assert note["iscrowd"] == 0


def test_splits_share_no_bag_of_objects_and_no_id(root: Path) -> None:
    bags, ids = [], []
    for name in SPLITS:
        split = read_scenes(root / "source", name)
        bags.append({drawn.bag for drawn in split.scenes})
        ids += split.image_ids
    assert len(set(ids)) == len(ids)
    assert not bags[0] & bags[1]
    assert not bags[0] & bags[2]
    assert not bags[1] & bags[2]


def test_the_vocabulary_is_of_training_captions_alone(root: Path) -> None:
    words = Vocabulary.load(root / "vocabulary.json").words
    texts = open_dataset(root).split("train").captions["text"]
    assert words == Vocabulary.build(texts, min_count=1).words


def test_captions_mention_only_what_can_be_seen(root: Path) -> None:
    for name in SPLITS:
        for line in (root / "source" / f"scene_graphs_{name}.jsonl").read_text().splitlines():
            graph = json.loads(line)
            for caption in graph["captions"]:
                assert all(graph["visible"][k] >= SEEN for k in caption["objects"])


def test_relevance_and_judged_pairs_are_the_truth(root: Path) -> None:
    for name, n_images in SIZES.items():
        source = read_scenes(root / "source", name)
        table = SceneTable(source.scenes)
        truth = np.stack([table.truth(s) for s in source.statements], axis=1)
        with np.load(root / name / "relevance.npz") as file:
            stored = np.zeros_like(truth)
            stored[file["image"], file["caption"]] = True
            assert file["image"].dtype == file["caption"].dtype == np.int32
        assert (stored == truth).all()
        assert truth[source.caption_image, np.arange(5 * n_images)].all()
        judged = pd.read_parquet(root / name / "judged.parquet")
        assert (truth[judged["image"], judged["caption"]] == (judged["grade"] == 1.0)).all()
        own, twin = judged.iloc[::2], judged.iloc[1::2]
        assert (own["caption"].to_numpy() == twin["caption"].to_numpy()).all()
        assert (source.caption_image[own["caption"]] == own["image"]).all()
        assert (own["image"].to_numpy() ^ 1 == twin["image"].to_numpy()).all()
        assert (own["grade"] == 1).all()
        assert (twin["grade"] == 0).all()
        assert set(judged["kind"]) == {"attribute_twin", "relation_twin"}
        false_of_twin = ~truth[source.caption_image ^ 1, np.arange(5 * n_images)]
        assert sorted(own["caption"]) == np.flatnonzero(false_of_twin).tolist()
        assert false_of_twin.reshape(n_images, 5).sum(axis=1).min() >= 2


def test_the_manifest_counts_false_negatives_and_recall(root: Path) -> None:
    facts = json.loads((root / "dataset.json").read_text())["splits"]["dev"]
    with np.load(root / "dev" / "relevance.npz") as file:
        n_true = len(file["image"])
    assert facts["true_pairs"] == n_true
    assert facts["false_negative_pairs"] == n_true - 40
    assert facts["false_negatives_t2i"]["mean"] == (n_true - 40) / 40
    assert facts["false_negatives_i2t"]["mean"] == (n_true - 40) / 8
    assert 0.7 < facts["proposal_recall"] <= 1


def test_false_negatives_by_hand() -> None:
    """Two images of two captions; caption 0 is true of both, caption 3 too."""
    pairs = (np.array([0, 0, 0, 1, 1, 1], np.int32), np.array([0, 1, 3, 0, 2, 3], np.int32))
    facts = false_negatives(np.array([0, 0, 1, 1], np.int32), pairs, 2)
    assert facts == {
        "true_pairs": 6,
        "false_negative_pairs": 2,
        "false_negatives_i2t": {"queries": 2, "mean": 1.0},
        "false_negatives_t2i": {"queries": 2, "mean": 0.5},
    }


def test_recall_by_hand() -> None:
    """Of three boxes one is met exactly, one by half its union, one hardly."""
    true = [np.array([[0.0, 0, 10, 10], [20, 20, 30, 40]]), np.array([[0.0, 0, 10, 10]])]
    found = [np.array([[0.0, 0, 10, 10], [20, 20, 30, 30]]), np.array([[5.0, 5, 15, 15]])]
    assert recall(true, found) == pytest.approx(2 / 3)


def test_training_regions_are_standardised_by_themselves(root: Path) -> None:
    split = open_dataset(root).split("train")
    valid = np.arange(12) < split.region_counts[:, None]
    table = split.regions.read(np.arange(16))[valid]
    names = json.loads((root / "source" / "features.json").read_text())["columns"]
    assert len(names) == 83
    assert np.abs(table.mean(axis=0)).max() < 0.1  # clipped outliers move it a little
    assert table.std(axis=0).max() < 1.01


def test_without_position_the_other_columns_stay_as_they_are(root: Path, tmp_path: Path) -> None:
    prepare(SETTINGS.model_copy(update={"position": False}), name="scenes", root=tmp_path / "n")
    for name, n_images in SIZES.items():
        with_position, without = (
            open_dataset(folder).split(name).regions.read(np.arange(n_images)) for folder in (root, tmp_path / "n")
        )
        assert without.shape == (n_images, 12, 75)
        assert (with_position[..., :75] == without).all()


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no regions today")

    monkeypatch.setattr(scenes_module, "propose", fail)
    with pytest.raises(RuntimeError):
        prepare(SETTINGS, name="scenes", root=tmp_path / "scenes")
    assert not list(tmp_path.iterdir())
