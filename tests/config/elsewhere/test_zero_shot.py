"""Zero-shot rows in the configuration: where they may stand, and what a study makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from lgsf.config.file import Config
from lgsf.config.study import Study
from lgsf.system.errors import LgsfError
from lgsf.system.settings import deep_merge

BASE: dict[str, Any] = {
    "experiment": "e",
    "run": {"datasets": ["scenes"], "methods": ["vsepp"], "zero_shot": ["clip"], "seeds": [0, 1], "reference": "vsepp"},
    "datasets": {"scenes": {"source": "scenes"}},
    "methods": {"vsepp": {"model": "baselines.vsepp:VSEPP", "title": "VSE++"}},
    "zero_shot": {"clip": {"model": "openai/clip-vit-base-patch32", "title": "CLIP"}},
}


def config(**changes: Any) -> Config:
    return Config.parse(deep_merge(BASE, changes))


def test_one_run_in_the_comparison_alone() -> None:
    study = Study(config())
    assert study.tables == {"comparison": ("vsepp", "clip"), "baselines": ("vsepp",)}
    runs = study.runs(study.tables["comparison"])
    own = [(run.method, run.seed, run.kind, run.title) for run in runs if run.method == "clip"]
    assert own == [("clip", 0, "zero_shot", "CLIP (zero-shot)")]
    assert study.trained(study.tables["comparison"]) == ["vsepp"]
    experiment = study.experiment(study.tables["comparison"])
    assert experiment.reference == "vsepp" and "clip" not in experiment.references
    assert '"title":"CLIP (zero-shot)"' in study.zero_shot_settings("clip")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"run": {"zero_shot": ["siglip"]}}, "run.zero_shot names 'siglip', which is not defined; known are clip"),
        ({"run": {"methods": ["vsepp", "clip"]}}, "run.methods names 'clip', which is not defined"),
        ({"run": {"reference": "clip"}}, "run.reference names 'clip', which is not among run.methods"),
        ({"zero_shot": {"vsepp": {"model": "x"}}}, "zero_shot.vsepp: this name belongs to another row"),
        ({"zero_shot": {"random": {"model": "x"}}}, "zero_shot.random: this name belongs to another row"),
        ({"zero_shot": {"clip": {"prompt": "no place"}}}, "zero_shot.clip.prompt: must hold {}, once"),
        (
            {"run": {"datasets": ["pack"]}, "datasets": {"pack": {"source": "precomp", "path": "x"}}},
            "run.zero_shot needs photos, and datasets.pack names none; set its `images`",
        ),
    ],
)
def test_mistakes(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(LgsfError) as caught:
        config(**changes)
    assert message in str(caught.value)


def test_packs_with_photos_will_do() -> None:
    pack = {"source": "precomp", "path": "x", "images": "photos"}
    assert config(run={"datasets": ["pack"]}, datasets={"pack": pack}).run.zero_shot == ("clip",)
