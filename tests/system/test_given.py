"""Paths, texts and seeds are brought into one form where they come in; each member of the kind is tried there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lgsf.cli import main
from lgsf.config.file import Config
from lgsf.data.features.settings import FeaturesSource
from lgsf.data.precomp.settings import PrecompSource
from lgsf.gallery.pictures import read_credits, thumbnails
from lgsf.pretrained.files import locate
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_json
from lgsf.system.given import check_seed, given_path, read_text, seed_of_folder
from lgsf.verdict.published import read_published


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def test_paths_are_what_is_meant(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for text, meant in (
        ("~/data/", home / "data"), ("~", home), ("data//f8k/", Path("data/f8k")), ("./data", Path("data")),
        ("a/../b", Path("a/../b")), ("/abs/", Path("/abs")), ("with space/ä", Path("with space/ä")),
    ):  # fmt: skip
        assert given_path(text) == meant
    for text in ("", "  ", "a\0b"):
        with pytest.raises(LgsfError, match="is empty or no path"):
            given_path(text)
    with pytest.raises(LgsfError, match="home folder that ~ stands for is unknown"):
        given_path("~nobody_of_this_name/x")


def test_every_door_for_paths_is_this_one(tmp_path: Path) -> None:
    home = tmp_path / "home"
    source = PrecompSource(source="precomp", path="~/pack/", images="photos//")
    assert (source.path, source.images) == (f"{home}/pack", "photos")
    assert all("//" not in name for name in source.files())
    lists = {"train": "~/train.txt", "dev": "~/dev.txt", "test": "lists//test.txt"}
    own = {
        "annotations": {"format": "flickr", "path": "~/a//results.token", "lists": lists},
        "features": {"format": "tsv", "paths": ["~/features.tsv"]},
    }
    made = FeaturesSource.model_validate({"source": "features", "images": "~/photos/", "judgements": "~/j/", **own})
    assert (made.images, made.judgements) == (f"{home}/photos", f"{home}/j")
    assert made.files() and not [name for name in made.files() if "~" in name or "//" in name]
    assert locate("~/glove.txt") == home / "glove.txt"
    with pytest.raises(SystemExit):
        main(["schema", "--out", ""])
    main(["schema", "--out", "~/deep/schema.json"])
    assert (home / "deep/schema.json").is_file()


def test_folders_of_the_workflow_are_paths_too(tmp_path: Path) -> None:
    raw = {
        "experiment": "e", "pathvars": {"results": "~/results/"}, "run": {"datasets": ["d"], "methods": ["vsepp"], "seeds": [0]},
        "datasets": {"d": {"source": "scenes"}}, "methods": {"vsepp": {"model": "baselines.vsepp:VSEPP"}},
    }  # fmt: skip
    assert Config.parse(raw).pathvars == {"results": f"{tmp_path}/home/results"}
    with pytest.raises(LgsfError, match=r"pathvars\.results: a path is needed"):
        Config.parse({**raw, "pathvars": {"results": ""}})


def test_texts_come_without_their_mark_and_faults_with_their_line(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    for raw in (b"a\nb\n", b"\xef\xbb\xbfa\nb\n"):
        file.write_bytes(raw)
        assert read_text(file, remedy="x") == "a\nb\n"
    for raw, said in (
        (b"\xff\xfea\0", "is UTF-16: convert the file to UTF-8"),
        (b"a\nbc\xe9\n", r"line 2 is not UTF-8 \(byte 2\)"),
        (b"\xef\xbb\xbfa\xe9", r"line 1 is not UTF-8 \(byte 4\)"),
    ):
        file.write_bytes(raw)
        with pytest.raises(LgsfError, match=said):
            read_text(file, remedy="x")
    with pytest.raises(LgsfError, match="gone is missing: copy it"):
        read_text(tmp_path / "gone", remedy="copy it")
    with pytest.raises(LgsfError, match="cannot be read"):
        read_text(tmp_path, remedy="name a file")


def test_a_mark_changes_no_table_and_no_json(tmp_path: Path, repository: Path) -> None:
    from lgsf.system.project.places import own_or_shipped

    table = own_or_shipped("config/published.csv")
    copies = []
    for name in ("published.csv", "published_sources.csv"):
        copies.append(tmp_path / name)
        copies[-1].write_bytes(b"\xef\xbb\xbf" + table.with_name(name).read_bytes())
    assert read_published(*copies) == read_published(table, table.with_name("published_sources.csv"))
    (tmp_path / "ATTRIBUTION.csv").write_bytes(b"\xef\xbb\xbffile_name,licence\na.jpg,CC0\n")
    assert read_credits(tmp_path) == {"a.jpg": "CC0"}
    (tmp_path / "ids.json").write_bytes(b"\xef\xbb\xbf" + json.dumps({"a": 1}).encode())
    assert read_json(tmp_path / "ids.json", hint="x") == {"a": 1}


def test_seeds_of_folders_are_those_that_tables_look_for() -> None:
    assert [seed_of_folder(Path(name)) for name in ("x/seed0", "x/seed17", "x/run", "x/trial3")] == [0, 17, None, None]
    for name in ("seed007", "Seed7", "seed_7", "seed-7", "SEED07"):
        with pytest.raises(LgsfError, match=f"would not find '{name}': call the folder seed7"):
            seed_of_folder(Path("x") / name)
    with pytest.raises(LgsfError, match="--seed 3 contradicts"):
        seed_of_folder(Path("x/seed4"), 3)
    for seed in (-1, 2**63, 2**64):
        with pytest.raises(LgsfError, match="is not in 0"):
            check_seed(seed)


@pytest.mark.parametrize("verb", ["control", "train", "import-scores"])
def test_every_verb_with_a_seed_asks_for_a_folder_that_tables_find(
    verb: str, tmp_path: Path, tiny_dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results/tiny/x/seed007"
    arguments = {
        "control": ["--kind", "oracle", "--dataset", str(tiny_dataset), "--seed", "7", "--out", str(out)],
        "train": ["--config", "c.json", "--dataset", str(tiny_dataset), "--seed", "7", "--out", str(out)],
        "import-scores": ["--dataset", str(tiny_dataset), "--split", "test", "--name", "x", "--seed", "-1",
                          "--scores", "s.npy", "--results", str(tmp_path / "results")],
    }  # fmt: skip
    with pytest.raises(SystemExit) as stopped:
        main([verb, *arguments[verb]])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert "call the folder seed7" in said or "a whole number from 0 to" in said
    assert not (tmp_path / "results").exists()


def test_photos_stand_as_the_camera_was_held(tmp_path: Path) -> None:
    """A picture of 40 x 20 with its red edge on the left, stored turned by every one of EXIF's eight ways."""
    upright = np.zeros((20, 40, 3), np.uint8)
    upright[:, :8, 0] = 255
    upright[:6, 30:, 2] = 255
    turns = {
        1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2), 6: lambda a: np.rot90(a, 1), 7: lambda a: np.rot90(a.transpose(1, 0, 2), 2),
        8: lambda a: np.rot90(a, -1),
    }  # fmt: skip
    files = {}
    for orientation, turn in turns.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        files[orientation] = tmp_path / f"{orientation}.png"
        Image.fromarray(np.ascontiguousarray(turn(upright))).save(files[orientation], exif=exif)
    made = thumbnails(files, large=frozenset(), budget=10**6)
    assert {(picture.width, picture.height) for picture in made.values()} == {(40, 20)}
    assert len({picture.data for picture in made.values()}) == 1
