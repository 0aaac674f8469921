"""What a plan lacks is found before anything starts, in one sentence that names key and path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lgsf.config.file import Config
from lgsf.config.study import Study
from lgsf.pretrained import absent
from lgsf.system.settings import deep_merge
from tests.support.packs import write_pack

BASE: dict[str, Any] = {
    "experiment": "e",
    "run": {"datasets": ["d"], "methods": ["m"], "seeds": [0], "reference": "m"},
    "methods": {"m": {"model": "baselines.vsepp:VSEPP"}},
}


def study(**changes: Any) -> Study:
    return Study(Config.parse(deep_merge(BASE, {"datasets": {"d": {"source": "scenes"}}, **changes})))


def sentence(found: absent.Absent | None) -> str:
    assert found is not None and found.sentence.endswith(".") and "\n" not in found.sentence
    return found.sentence


def test_a_pack_and_its_optional_files(tmp_path: Path) -> None:
    pack = {"source": "precomp", "path": str(tmp_path / "pack"), "captions_per_image": 2}
    asked = study(datasets={"d": pack})
    assert f"datasets.d: the folder {tmp_path / 'pack'} is missing" in sentence(absent.of_source(asked, "d"))
    write_pack(tmp_path / "pack")
    assert absent.of_source(asked, "d") is None  # without ids, boxes, judgements
    (tmp_path / "pack" / "dev_caps.txt").unlink()
    assert "pack/dev_caps.txt is missing: put it there" in sentence(absent.of_source(asked, "d"))


def test_sources_that_name_their_files(tmp_path: Path) -> None:
    table = {"format": "table", "path": str(tmp_path / "captions.csv")}
    folder = {"format": "folder", "path": str(tmp_path / "features")}
    features = study(datasets={"d": {"source": "features", "annotations": table, "features": folder}})
    assert "captions.csv is missing (and 1 more)" in sentence(absent.of_source(features, "d"))
    (tmp_path / "captions.csv").touch()
    (tmp_path / "features").mkdir()
    assert absent.of_source(features, "d") is None  # id_mapping.json need not be there
    named = deep_merge(folder, {"mapping": str(tmp_path / "features" / "id_mapping.json")})
    asked = study(datasets={"d": {"source": "features", "annotations": table, "features": named}})
    assert "id_mapping.json is missing" in sentence(absent.of_source(asked, "d"))
    photos = {"source": "photos", "images": str(tmp_path / "photos"), "annotations": table}
    asked = study(datasets={"d": {**photos, "extract": {"kind": "grid", "model": str(tmp_path / "resnet" / "v1")}}})
    assert "photos is missing" in sentence(absent.of_source(asked, "d"))
    assert "datasets.d.extract.model" in sentence(absent.of_extraction(asked, "d"))


def test_what_a_download_brings_is_not_lacking(tmp_path: Path) -> None:
    download = {"urls": ["https://one.org/p.zip"], "sha256": "0" * 64, "bytes": 1, "licence": "CC0", "path": "data/p.zip",
                "unpack": {"folder": str(tmp_path / "pack"), "most_bytes": 9}}  # fmt: skip
    pack = {"source": "precomp", "path": str(tmp_path / "pack"), "needs": ["p"]}
    assert absent.of_source(study(datasets={"d": pack}, downloads={"p": download}), "d") is None
    assert absent.of_source(study(), "d") is None


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"word_vectors": "glove.txt"}, "methods.m.parameters.word_vectors: glove.txt is missing"),
        ({"word_vectors": "package:nowhere_at_all/data"}, "names a package that is not installed"),
        ({"text": {"kind": "bert", "path": "/models/bert/base"}}, "methods.m.parameters.text.path: /models/bert/base is"),
        ({"text": {"kind": "bert", "path": "bert-base-uncased"}}, None),  # the hub's, perhaps
        ({}, None),
    ],
)  # fmt: skip
def test_what_a_method_starts_from(parameters: dict[str, Any], words: str | None) -> None:
    found = absent.of_method(study(methods={"m": {"parameters": parameters}}), "m")
    assert found is None if words is None else words in sentence(found)


def test_a_dual_encoder_and_its_photos(tmp_path: Path) -> None:
    pack = {"source": "precomp", "path": "x", "images": str(tmp_path / "photos")}
    encoder = {"zero_shot": {"clip": {"model": str(tmp_path / "clip" / "b")}}, "run": {"zero_shot": ["clip"]}}
    asked = study(datasets={"d": pack}, **encoder)
    assert "datasets.d.images: the folder" in sentence(absent.of_zero_shot(asked, "clip", "d"))
    (tmp_path / "photos").mkdir()
    assert "zero_shot.clip.model" in sentence(absent.of_zero_shot(asked, "clip", "d"))
    (tmp_path / "clip" / "b").mkdir(parents=True)
    assert absent.of_zero_shot(asked, "clip", "d") is None


def test_the_files_of_an_import(tmp_path: Path) -> None:
    scores = {"kind": "scores", "test": [str(tmp_path / "a.npy"), str(tmp_path / "b.npy")], "ids": {"test": "ids.json"}}
    asked = study(imports={"mine": scores})
    (tmp_path / "a.npy").touch()
    assert "imports.mine.ids.test: ids.json is missing" in sentence(absent.of_import(asked, "mine", 0))
    assert "imports.mine.test" in sentence(absent.of_import(asked, "mine", 1))
    run = study(imports={"r": {"kind": "run", "path": str(tmp_path / "r" / "seed0")}})
    assert "imports.r.path" in sentence(absent.of_import(run, "r", 0))
    released = {"kind": "checkpoint", "method": "hrem", "checkpoint": str(tmp_path / "a.npy"), "bert": "/models/bert"}
    found = absent.of_import(study(imports={"c": released}), "c", 0)
    assert "imports.c.bert: /models/bert is missing" in sentence(found)
