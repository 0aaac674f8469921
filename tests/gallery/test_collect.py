"""From runs to the album: the right questions, their answers, the largest changes, and what is said about gaps."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from lgsf.gallery.album import Album, read_album
from lgsf.gallery.collect import CHANGES, Finished, collect_album, largest_changes, write_albums
from lgsf.runs.beside.chosen import chosen_pairs
from lgsf.runs.ranks import Ranks
from lgsf.system.errors import LgsfError
from tests.support import material
from tests.support.synthetic import experiment


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("album")
    material.write_dataset(root / "resources/toy", author=["A. Photographer"] * 60, licence=["CC BY 2.0"] * 60)
    material.write_photos(root / "photos")
    material.write_runs(root / "results", root / "resources/toy")
    return root


def collect(root: Path, *, photos: bool = True, **changes: object) -> Album:
    return collect_album(
        experiment(**changes), "toy", results=root / "results", root=root / "resources/toy",
        photos=root / "photos" if photos else None, budget=6_000_000,
    )  # fmt: skip


@pytest.fixture(scope="module")
def album(root: Path) -> Album:
    return collect(root)


def test_every_compared_method_answers_the_same_questions(album: Album, root: Path) -> None:
    images, captions = chosen_pairs("toy", "test", material.CAPTION_IMAGE)
    assert [q.image for q in album.questions] == images.tolist()
    assert [q.caption for q in album.questions] == captions.tolist()
    assert [q.direction for q in album.questions] == ["i2t"] * 4 + ["t2i"] * 4
    for question in album.questions:
        assert [answer.method for answer in question.answers] == ["lgsf", "vsepp", "base"]
        for answer in question.answers:
            folder = root / f"results/toy/{answer.method}/seed0/test"
            with np.load(folder / "ranks.npz") as ranks, np.load(folder / "top.npz") as top:
                assert answer.place == ranks[question.direction][question.row] + 1
                assert answer.top == top[question.direction][question.row, :5].tolist()
                own = (
                    {question.image}
                    if question.direction == "t2i"
                    else set(range(5 * question.image, 5 * question.image + 5))
                )
                assert (answer.place <= 5) == bool(own & set(answer.top))


def test_changes_are_the_extremes_of_a_slow_search(album: Album, root: Path) -> None:
    def places(method: str, direction: str) -> list[float]:
        rows = []
        for path in sorted((root / f"results/toy/{method}").glob("seed*/test/ranks.npz")):
            with np.load(path) as ranks:
                rows.append([np.log2(rank + 1.0) for rank in ranks[direction]])
        return [sum(column) / len(rows) for column in zip(*rows, strict=True)]

    for reference in ("vsepp", "base"):
        for direction in ("i2t", "t2i"):
            gains = [
                old - new for old, new in zip(places(reference, direction), places("lgsf", direction), strict=True)
            ]
            here = [c for c in album.changes if (c.reference, c.direction) == (reference, direction)]
            found = [np.log2(c.before) - np.log2(c.after) for c in here]
            assert np.allclose(found[:CHANGES], sorted(gains, reverse=True)[:CHANGES])
            assert np.allclose(found[CHANGES:], sorted(gains)[:CHANGES])
            assert [answer.method for answer in here[0].answers] == [reference, "lgsf"]


def test_a_change_is_a_mean_over_seeds_on_a_log_scale() -> None:
    def finished(*i2t: list[int]) -> Finished:
        ranks = [
            Ranks(
                *(np.array(row, np.int32), np.zeros(2, np.int32)) * 2,
                np.zeros(2, np.int32),
                np.zeros(2, np.int32),
                1,
                "",
                "",
                "",
            )
            for row in i2t
        ]
        return Finished("m", "M", [0, 1], ranks, Path())

    # Places 1, 400, 8 and 4, 100, 8 before; 1, 200, 2 and 1, 200, 2 after.
    moved = largest_changes(finished([0, 399, 7], [3, 99, 7]), finished([0, 199, 1], [0, 199, 1]))
    assert [(row, 2**before, 2**after) for _, row, before, after in moved] == [
        (2, pytest.approx(8), pytest.approx(2)),
        (0, pytest.approx(2), pytest.approx(1)),
    ]


def test_the_album_holds_every_text_that_is_needed_and_pictures_with_credit(album: Album) -> None:
    texts = material.captions()
    for item in (*album.questions, *album.changes):
        for answer in item.answers:
            for row in answer.top:
                if item.direction == "i2t":
                    assert album.captions[row].text == texts[row]
                    assert album.captions[row].image == row // 5
                else:
                    entry = album.images[row]
                    assert entry.captions == texts[5 * row : 5 * row + 5]
                    assert entry.picture is not None and (entry.picture.width, entry.picture.height) in {
                        (320, 240),
                        (144, 108),
                    }
                    assert entry.credit == "A. Photographer, CC BY 2.0"
    assert all(len(album.images[q.image].boxes) == material.REGIONS for q in album.questions)


def test_views_come_from_those_who_kept_them(album: Album) -> None:
    for question in album.questions:
        lgsf, vsepp = question.views
        assert (lgsf.method, len(lgsf.region_region), lgsf.word_region) == ("lgsf", 4, [])
        assert (vsepp.method, vsepp.region_region, len(vsepp.word_region)) == ("vsepp", [], 4)
        assert lgsf.effect == pytest.approx([0.1, -0.2, 0.4, 0.0])
        assert vsepp.words == ["<start>", "a", "dog", "<end>"]
    assert "Nothing was kept of what these looked at: Base (all parts off), LGSF without GAT." in album.notes


def test_absent_data_are_said_and_not_fatal(root: Path, tmp_path: Path) -> None:
    write_albums(experiment(), results=root / "results", resources=tmp_path, photos={}, out=tmp_path)
    album = read_album(tmp_path / "toy.json")
    assert album is not None and album.questions == []
    assert "there are no captions to show" in album.notes[0]


def test_gaps_are_said_and_not_fatal(root: Path, tmp_path: Path) -> None:
    without = collect(root, photos=False)
    assert all(entry.picture is None for entry in without.images.values())
    assert any("datasets.toy.images" in note for note in without.notes)
    nothing = collect(root, methods=[{"name": "hrem", "title": "HREM"}], reference="hrem")
    assert nothing.questions == [] and "has finished" in nothing.notes[-1]
    shutil.copytree(root / "results", tmp_path / "results")
    record = tmp_path / "results/toy/vsepp/seed0/run.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"dataset_sha256": "0" * 64}))
    other = collect_album(
        experiment(), "toy", results=tmp_path / "results", root=root / "resources/toy", photos=None, budget=1
    )
    assert any("VSE++, seed 0, is left out" in note for note in other.notes)
    assert {a.seed for q in other.questions for a in q.answers if a.method == "vsepp"} == {1}


def test_an_album_without_top_lists_is_a_sentence(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "results", tmp_path / "results")
    np.savez_compressed(tmp_path / "results/toy/lgsf/seed0/test/top.npz", i2t=np.zeros((3, 5), np.int32))
    with pytest.raises(LgsfError, match=r"top\.npz lacks the array 'i2t' with 60 rows"):
        collect_album(
            experiment(), "toy", results=tmp_path / "results", root=root / "resources/toy", photos=None, budget=1
        )


def test_equal_input_gives_equal_bytes_and_reads_back(root: Path, tmp_path: Path) -> None:
    for place in ("one", "two"):
        write_albums(
            experiment(), results=root / "results", resources=root / "resources",
            photos={"toy": str(root / "photos")}, out=tmp_path / place,
        )  # fmt: skip
    assert (tmp_path / "one/toy.json").read_bytes() == (tmp_path / "two/toy.json").read_bytes()
    assert read_album(tmp_path / "one/toy.json") == collect(root)
    assert read_album(tmp_path / "none.json") is None
    (tmp_path / "one/toy.json").write_text('{"schema_version": 2}')
    with pytest.raises(LgsfError, match=r"toy\.json: schema_version.*run the album step again"):
        read_album(tmp_path / "one/toy.json")
