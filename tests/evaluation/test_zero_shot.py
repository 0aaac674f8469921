"""Dual encoders off the shelf against a line-by-line computation with the library, and as runs of the tables."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lgsf.config.elsewhere.zero_shot import ZeroShotSettings
from lgsf.config.experiment import Experiment, MethodEntry
from lgsf.data.layout import open_dataset
from lgsf.data.prepare import prepare
from lgsf.evaluation.zero_shot import split_photos, zero_shot, zero_shot_scores
from lgsf.extract.dual import DualEncoder
from lgsf.extract.extract import extract
from lgsf.runs.facts import read_facts
from lgsf.runs.ranks import read_ranks
from lgsf.runs.record import read_record, write_record
from lgsf.system.errors import LgsfError
from lgsf.tables.write import write_tables
from tests.support.photos import photo_settings, write_photos

Models = Callable[[str], Path]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, vision_model: Models) -> Path:
    """A folder with photos and the dataset `data` made from them; one caption is longer than the models read."""
    folder = write_photos(tmp_path_factory.mktemp("zero") / "own")
    table = folder / "captions.csv"
    table.write_text(table.read_text().replace("in view 1,test", "in view 1 and many many words more,test", 1))
    settings = photo_settings(folder, vision_model("clip"), kind="image")
    extract(settings, name="own", shard=1, root=folder / "data")
    prepare(settings, name="own", root=folder / "data")
    return folder


def by_the_library(kind: str, model: Path, folder: Path, files: list[str], captions: list[str]) -> np.ndarray:
    """Scores as the model's own page tells users to compute them, one photo at a time."""
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    network = AutoModel.from_pretrained(model).eval()
    processor = AutoImageProcessor.from_pretrained(model, backend="pil")
    tokenizer = AutoTokenizer.from_pretrained(model)
    padding = "max_length" if kind == "siglip" else True
    text = tokenizer(captions, padding=padding, truncation=True, max_length=16, return_tensors="pt")
    if kind == "siglip":
        text = {"input_ids": text["input_ids"]}
    rows = []
    for file in files:
        with Image.open(folder / "photos" / file) as photo, torch.inference_mode():
            pixels = processor(images=photo.convert("RGB"), return_tensors="pt")["pixel_values"]
            logits = network(**text, pixel_values=pixels).logits_per_image[0]
            if kind == "siglip":
                logits = logits - network.logit_bias
            rows.append((logits / network.logit_scale.exp()).numpy())
    return np.stack(rows)


@pytest.mark.parametrize("kind", ["clip", "siglip"])
@pytest.mark.parametrize("prompt", ["{}", "a photo of {}."])
def test_scores_are_those_of_the_library(own: Path, vision_model: Models, kind: str, prompt: str) -> None:
    data = open_dataset(own / "data")
    split = data.split("test")
    files = split_photos(data, split, own / "photos")
    settings = ZeroShotSettings(model=str(vision_model(kind)), prompt=prompt, batch_size=3, workers=0)
    scores = zero_shot_scores(DualEncoder.open(settings.model, CPU), settings, split, files)
    assert scores.shape == (4, 8)
    ((first, block),) = scores.blocks()
    assert first == 0
    captions = [prompt.format(text) for text in split.captions["text"]]
    expected = by_the_library(kind, vision_model(kind), own, split.images["file_name"].tolist(), captions)
    assert np.ptp(expected) > 1e-3  # else anything would do
    np.testing.assert_allclose(block, expected, atol=2e-6)


def rank(own: Path, model: Path, out: Path, name: str = "clip", **settings: Any) -> None:
    wanted = {"model": str(model), "title": "Tiny", "workers": 0, **settings}
    zero_shot(wanted, name=name, dataset=own / "data", photos=own / "photos", out=out)


def test_the_run_says_what_it_is(
    own: Path, vision_model: Models, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        rank(own, vision_model("clip"), tmp_path / "own/clip/seed0")
    assert "captions are longer than the model reads; they are cut." in caplog.text
    facts = read_facts(tmp_path / "own/clip/seed0")
    assert (facts.kind, facts.method, facts.seed, facts.title) == ("zero_shot", "clip", 0, "Tiny (zero-shot)")
    assert "trained on other data" in facts.pretrained["note"]
    assert facts.inputs == {"text": "clip", "visual": "clip, from photos", "ensemble": "no"}
    assert set(facts.pretrained["sha256"]) >= {"model.safetensors", "config.json", "tokenizer.json"}
    assert facts.parameters is not None and facts.parameters > 10000
    for split in ("dev", "test"):
        assert len(read_ranks(tmp_path / "own/clip/seed0", split).t2i) == 8


def test_tables_show_it_apart(own: Path, vision_model: Models, tmp_path: Path) -> None:
    """It stands in the summary with one run, and in no difference, test or claim."""
    results = tmp_path / "results"
    rank(own, vision_model("clip"), results / "own/clip/seed0")
    methods = (
        MethodEntry(name="vsepp", title="VSE++"),
        MethodEntry(name="clip", title="Tiny (zero-shot)", zero_shot=True),
    )
    for seed in (0, 1):  # a trained method's runs, as far as tables read them
        copy = results / f"own/vsepp/seed{seed}"
        shutil.copytree(results / "own/clip/seed0", copy)
        changed = {"kind": "trained", "method": "vsepp", "title": "VSE++", "seed": seed}
        write_record(copy, read_record(copy).model_copy(update=changed))
    experiment = Experiment(
        experiment="own", datasets=("own",), methods=methods, controls=(), seeds=(0, 1), reference="vsepp"
    )
    write_tables(experiment, results=results, out=tmp_path / "tables")
    summary = (tmp_path / "tables/summary.md").read_text()
    (row,) = [line for line in summary.splitlines() if "Tiny" in line]
    assert "Tiny (zero-shot) (trained on other data)" in row and row.endswith("| 1/1 |")
    for name in ("differences.csv", "comparisons.csv"):
        assert "clip" not in (tmp_path / "tables" / name).read_text()


def test_it_is_never_the_reference() -> None:
    entry = MethodEntry(name="clip", title="CLIP (zero-shot)", zero_shot=True)
    other = MethodEntry(name="vsepp", title="VSE++")
    with pytest.raises(ValueError, match="the reference 'clip' was trained on other data"):
        Experiment(experiment="e", datasets=("d",), methods=(other, entry), seeds=(0,), reference="clip")
    with pytest.raises(ValueError, match=r"must end with ' \(zero-shot\)'"):
        MethodEntry(name="clip", title="CLIP", zero_shot=True)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("photo gone", r"1 of the 4 photos of the test split are not there, the first is 'test2.jpg'"),
        ("photo broken", r"test2.jpg cannot be read \(not a picture\): copy it again"),
        ("no folder", r"there is no such folder; set datasets.own.images"),
        ("no photos", r"4 of the 4 photos of the dev split are not there"),
        ("no dual encoder", r"is a ViTModel, which has no vectors of photos and texts in one space"),
        ("no tokenizer", r"has no tokenizer file \(tokenizer.json, vocab.json"),
        ("broken tokenizer", r"its tokenizer cannot be read"),
        (
            "other tokenizer",
            r"was opened and then failed at its work \(IndexError: .* do not fit together; take it anew",
        ),
        (
            "other processor",
            r"was opened and then failed at its work \(ValueError: .* do not fit together; take it anew",
        ),
        ("no model", r"zero_shot.model '/nowhere/clip' is no folder: give the folder of a CLIP or SigLIP"),
        ("prompt", r"zero_shot.clip: prompt: must hold {}, once"),
        ("key", r"zero_shot.clip: unknown key 'colour'"),
    ],
)
def test_mistakes_are_one_sentence(own: Path, vision_model: Models, tmp_path: Path, fault: str, message: str) -> None:
    model, photos, settings = vision_model("clip"), tmp_path / "photos", dict[str, Any]()
    shutil.copytree(own / "photos", photos)
    folder: Path | None = photos
    match fault:
        case "photo gone":
            (photos / "test2.jpg").unlink()
        case "photo broken":
            (photos / "test2.jpg").write_text("no picture")
        case "no folder":
            folder = tmp_path / "none"
        case "no photos":
            folder = None
        case "no dual encoder":
            model = vision_model("vit")
        case "no tokenizer" | "broken tokenizer":
            model = tmp_path / "model"
            shutil.copytree(vision_model("clip"), model)
            for file in model.iterdir():
                if file.name not in ("config.json", "model.safetensors", "preprocessor_config.json"):
                    file.unlink()
            if fault == "broken tokenizer":
                (model / "tokenizer.json").write_text("{")
        case "other tokenizer" | "other processor":
            name, change = (
                ("tokenizer_config.json", {"bos_token": "<of another model>"})
                if fault == "other tokenizer"
                else ("preprocessor_config.json", {"crop_size": {"height": 64, "width": 64}})
            )
            model = Path(shutil.copytree(vision_model("clip"), tmp_path / "model"))
            (model / name).write_text(json.dumps(json.loads((model / name).read_text()) | change))
        case "no model":
            model = Path("/nowhere/clip")
        case "prompt":
            settings["prompt"] = "a photo"
        case _:
            settings["colour"] = "red"
    with pytest.raises(LgsfError, match=message) as caught:
        zero_shot(
            {"model": str(model), "workers": 0, **settings}, name="clip", dataset=own / "data", photos=folder,
            out=tmp_path / "out",
        )  # fmt: skip
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out/run.json").exists()
