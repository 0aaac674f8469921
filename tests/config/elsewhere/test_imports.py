"""Imports in the configuration: names, files of every seed, and what a study makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lgsf.config.file import Config
from lgsf.config.study import Study
from lgsf.system.errors import LgsfError
from lgsf.system.settings import deep_merge

BASE: dict[str, Any] = {
    "experiment": "e",
    "run": {"datasets": ["scenes"], "methods": ["vsepp", "mine"], "seeds": [0, 1], "reference": "vsepp"},
    "datasets": {"scenes": {"source": "scenes"}, "other": {"source": "scenes"}},
    "methods": {"vsepp": {"model": "baselines.vsepp:VSEPP", "title": "VSE++"}},
    "imports": {"mine": {"kind": "scores", "title": "My model", "test": "scores.npy"}},
}


def config(**changes: Any) -> Config:
    return Config.parse(deep_merge(BASE, changes))


def test_an_import_stands_among_the_methods_with_seeds_of_its_own() -> None:
    study = Study(config(imports={"mine": {"test": ["a.npy", "b.npy", "c.npy"], "published": "scan"}}))
    assert study.tables == {"comparison": ("vsepp", "mine"), "baselines": ("vsepp", "mine")}
    runs = study.runs(study.tables["comparison"])
    assert [(r.method, r.seed) for r in runs if r.method == "mine"] == [("mine", seed) for seed in (0, 1, 2)]
    assert {(r.title, r.kind) for r in runs if r.method == "mine"} == {("My model (imported)", "imported")}
    assert study.trained(study.tables["comparison"]) == ["vsepp"] and study.modules("mine") == []
    assert study.experiment(study.tables["comparison"], words=True).methods[1].published == "scan"
    assert study.config.published_keys == {"vsepp": None, "mine": "scan"}
    one = study.imported("mine", 1)
    assert list(one.files()) == [("test", "b.npy")] and one.numbers == (1,)


def test_it_may_be_the_reference_and_stand_alone() -> None:
    alone = Study(config(run={"methods": ["mine"], "reference": "mine"}))
    assert alone.tables == {"comparison": ("mine",), "baselines": ("mine",)}
    assert alone.experiment(("mine",)).reference == "mine"


def test_it_is_of_one_dataset() -> None:
    study = Study(config(run={"datasets": ["scenes", "other"]}, imports={"mine": {"dataset": "other"}}))
    runs = study.runs(study.tables["comparison"])
    assert {(r.dataset, r.method) for r in runs} >= {("scenes", "vsepp"), ("other", "vsepp"), ("other", "mine")}
    assert ("scenes", "mine") not in {(r.dataset, r.method) for r in runs}


def test_every_kind_says_what_it_reads(tmp_path: Path) -> None:
    pair = {"images": "i.npy", "captions": "c.npy"}
    kinds: dict[str, dict[str, Any]] = {
        "vectors": {"kind": "embeddings", "test": [pair, pair], "dev": [pair, pair], "seeds": [3, 5], "ids": {"dev": "d.json"}},
        "released": {"kind": "checkpoint", "method": "scan", "checkpoint": "best.pth.tar", "vocab": "words.json"},
        "run": {"kind": "run", "path": f"{tmp_path}/run/seed4"},
    }  # fmt: skip
    found = config(imports=kinds).imports
    assert list(found["vectors"].of_seed(5).files()) == [
        ("dev.images", "i.npy"), ("dev.captions", "c.npy"), ("test.images", "i.npy"), ("test.captions", "c.npy"),
        ("ids.dev", "d.json"),
    ]  # fmt: skip
    assert list(found["released"].files()) == [("checkpoint", "best.pth.tar"), ("vocab", "words.json")]
    assert found["run"].numbers == (4,) and found["run"].lies_at(tmp_path / "run" / "seed4")
    assert not found["run"].lies_at(tmp_path / "elsewhere" / "seed4") and not found["vectors"].lies_at(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"run": {"methods": ["vsepp", "nothing"]}}, "run.methods names 'nothing', which is not defined; known are mine"),
        ({"imports": {"vsepp": {"kind": "scores", "test": "a.npy"}}}, "imports.vsepp: this name belongs to another row"),
        ({"imports": {"oracle": {"kind": "scores", "test": "a.npy"}}}, "imports.oracle: this name belongs to another row"),
        ({"imports": {"mine": {"kind": "guess"}}}, "imports.mine.kind: must be one of 'scores', 'embeddings'"),
        ({"imports": {"mine": {"test": []}}}, "imports.mine.test"),
        ({"imports": {"mine": {"tets": "a.npy"}}}, "unknown key 'imports.mine.tets'"),
        ({"imports": {"mine": {"test": "data/{x}.npy"}}}, "imports.mine.test.0: the path holds { and }"),
        ({"imports": {"mine": {"dev": ["a.npy", "b.npy"]}}}, "imports.mine: test lists 1 and dev lists 2"),
        ({"imports": {"mine": {"seeds": [1, 2]}}}, "imports.mine: seeds must name 1 different seeds"),
        ({"imports": {"mine": {"dataset": "gone"}}}, "imports.mine.dataset names 'gone', which is not defined"),
        ({"imports": {"mine": {"dataset": "other"}}}, "imports.mine was scored on 'other', which run.datasets does not"),
        ({"run": {"datasets": ["scenes", "other"]}}, "imports.mine.dataset is missing, and run.datasets lists several"),
        (
            {"run": {"datasets": ["scenes", "other"], "reference": "mine"}, "imports": {"mine": {"dataset": "other"}}},
            "run.reference names 'mine', which is imported for one dataset alone",
        ),
        ({"imports": {"r": {"kind": "run", "path": "runs/mine"}}}, "imports.r: path must end in <name>/seed<k>"),
        ({"imports": {"r": {"kind": "run", "path": ["a/seed0", "b/seed0"]}}}, "two of path are called seed0"),
        ({"imports": {"r": {"kind": "run", "path": "a/seed0", "seeds": [1]}}}, "imports.r: seeds are those of the folders"),
        (
            {"imports": {"c": {"kind": "checkpoint", "method": "mine", "checkpoint": "x"}}},
            "imports.c.method: input should be 'vsepp', 'scan'",
        ),
    ],
)  # fmt: skip
def test_mistakes(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(LgsfError) as caught:
        config(**changes)
    assert message in str(caught.value)
