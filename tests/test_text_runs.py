"""Runs with a BERT or with word vectors: trained, resumed, evaluated without the files they started from."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import lgsf
from baselines.vse_inf import VSEInfinity
from lgsf.data.batches.training import image_batches
from lgsf.data.layout import open_dataset
from lgsf.data.text import Vocabulary
from lgsf.evaluation.evaluate import evaluate
from lgsf.metrics.recall import metrics
from lgsf.models.base import Encoded
from lgsf.models.scoring import encode_split
from lgsf.runs.opened import open_run
from lgsf.runs.ranks import read_ranks
from lgsf.training.train import train
from tests.models.layers.test_bert import METHODS
from tests.support.berts import write_bert

pytestmark = pytest.mark.seconds

MODELS = {"lgsf": "lgsf.models.lgsf:LGSF", "vse_inf": "baselines.vse_inf:VSEInfinity", "hrem": "baselines.hrem:HREM"}


class StopsOnce(VSEInfinity):
    """VSE-infinity that fails at `stop_at`, a number of steps, while that is set."""

    stop_at: int | None = None

    def loss(self, batch, images, texts, progress):  # type: ignore[no-untyped-def]
        if progress.step == StopsOnce.stop_at:
            StopsOnce.stop_at = None
            raise RuntimeError("stopped")
        return super().loss(batch, images, texts, progress)


@pytest.fixture
def stops_once(monkeypatch: pytest.MonkeyPatch) -> str:
    """The spec of `StopsOnce`, importable as a user's own module would be."""
    monkeypatch.setitem(sys.modules, "stops_once", sys.modules[__name__])
    return "stops_once:StopsOnce"


def bert(folder: Path, **parameters: Any) -> dict[str, Any]:
    return {"embedding_dim": 12, "text": {"kind": "bert", "path": str(folder)}, **parameters}


@pytest.mark.parametrize("name", METHODS)
def test_a_run_with_bert_stands_alone(
    name: str, tmp_path: Path, tiny_dataset: Path, tiny_bert: Path, tiny_config: Callable[..., Path]
) -> None:
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "source"))
    config = tiny_config(model=MODELS[name], parameters=bert(folder, **METHODS[name][1]), epochs=1, word_drop=0.2)
    run = tmp_path / "run"
    train(config=config, dataset=tiny_dataset, seed=0, out=run)
    shutil.rmtree(folder)
    evaluate(run=run, dataset=tiny_dataset, memory_mb=16)
    record = json.loads((run / "run.json").read_text())
    assert record["text_encoder"] == "BERT"
    assert record["learning_rate_factors"] == {"text_encoder.bert.": 0.1}
    assert record["pretrained"]["bert"]["path"] == str(folder)
    assert record["pretrained"]["bert"]["sha256"].keys() == {"config.json", "model.safetensors", "vocab.txt"}
    ranks = read_ranks(run, "dev")
    assert metrics(ranks.i2t, ranks.t2i) == record["dev"]

    loaded = lgsf.load_run(run, tiny_dataset)
    split = open_dataset(tiny_dataset).split("test")
    (batch,) = image_batches(split, 128)
    best = loaded.search(loaded.encode_texts(list(split.captions["text"])), loaded.encode_images(*batch), k=1)[:, 0]
    same = (best.numpy() == split.caption_image) == (read_ranks(run, "test").t2i == 0)
    assert same.mean() > 0.95  # exact ties aside


def test_a_stopped_run_ends_like_an_uninterrupted_one(
    tmp_path: Path, tiny_dataset: Path, tiny_bert: Path, tiny_config: Callable[..., Path], stops_once: str,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "source"))
    config = tiny_config(
        model=stops_once, parameters=bert(folder), epochs=3, word_drop=0.3, region_drop=0.3, length_buckets=2
    )
    train(config=config, dataset=tiny_dataset, seed=1, out=tmp_path / "whole")
    steps = json.loads((tmp_path / "whole" / "run.json").read_text())["steps_per_epoch"]
    StopsOnce.stop_at = 2 * steps - 2
    with pytest.raises(RuntimeError, match="stopped"):
        train(config=config, dataset=tiny_dataset, seed=1, out=tmp_path / "broken")
    state = torch.load(tmp_path / "broken" / ".resume" / "state.pt", weights_only=True)
    assert [group["factor"] for group in state["optimizer"]["param_groups"]] == [1.0, 0.1]
    assert state["optimizer"]["param_groups"][1]["lr"] == pytest.approx(0.1 * 0.01)
    copy = shutil.copytree(tmp_path / "broken", tmp_path / "changed")

    train(config=config, dataset=tiny_dataset, seed=1, out=tmp_path / "broken")
    assert json.loads((tmp_path / "broken" / "run.json").read_text())["resumed"] == 1
    for name in ("model.safetensors", "training_only.safetensors", "bert/config.json", "bert/tokenizer.json"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name

    write_bert(folder, seed=1)  # other weights under the same path are another run
    StopsOnce.stop_at = 0
    with pytest.raises(RuntimeError, match="stopped"):
        train(config=config, dataset=tiny_dataset, seed=1, out=copy)
    assert "belongs to other settings, data or code" in caplog.text


def test_the_pretrained_weights_are_where_training_starts(
    tmp_path: Path, tiny_dataset: Path, tiny_bert: Path, tiny_config: Callable[..., Path]
) -> None:
    """With a vanishing learning rate the run holds the weights of the folder."""
    config = tiny_config(model=MODELS["vse_inf"], parameters=bert(tiny_bert), epochs=1, learning_rate=1e-12)
    train(config=config, dataset=tiny_dataset, seed=0, out=tmp_path / "run")
    trained, source = load_file(tmp_path / "run" / "model.safetensors"), load_file(tiny_bert / "model.safetensors")
    names = [name for name in source if not name.startswith("pooler.")]
    assert len(names) > 30
    for name in names:
        torch.testing.assert_close(trained[f"text_encoder.bert.{name}"], source[name], atol=1e-6, rtol=0)


def test_encoding_by_length_gives_the_same_in_the_same_order(
    tmp_path: Path, tiny_dataset: Path, tiny_bert: Path, tiny_config: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("lgsf.models.scoring.TEXT_BATCH", 4)
    config = tiny_config(model=MODELS["vse_inf"], parameters=bert(tiny_bert), epochs=1)
    train(config=config, dataset=tiny_dataset, seed=0, out=tmp_path / "run")
    opened = open_run(tmp_path / "run", tiny_dataset)
    split = opened.data.split("test")

    def texts() -> torch.Tensor:
        vector = encode_split(opened.method, split, opened.vocabulary, device=torch.device("cpu"))[1].vector
        assert vector is not None
        return vector

    by_length = texts()
    monkeypatch.setattr(VSEInfinity, "pads_captions", False)
    torch.testing.assert_close(by_length, texts(), atol=1e-6, rtol=0)
    pieces = opened.method.tokenizer(opened.vocabulary)
    with torch.inference_mode():
        for row, caption in enumerate(split.captions["text"]):
            tokens = torch.tensor([pieces.pieces(caption)[0]])
            alone: Encoded = opened.method.encode_texts(tokens, torch.ones_like(tokens, dtype=torch.bool))
            torch.testing.assert_close(alone.vector, by_length[row : row + 1], atol=1e-6, rtol=0)


def test_a_run_that_starts_from_word_vectors(
    tmp_path: Path, tiny_dataset: Path, tiny_config: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    words = Vocabulary.load(tiny_dataset / "vocabulary.json").words[5:]
    vectors = {word: np.full(8, 0.01 * place) for place, word in enumerate(words[:-1])}
    file = tmp_path / "vectors.txt"
    file.write_text("".join(f"{word} {' '.join(map(str, values))}\n" for word, values in vectors.items()))
    parameters = {"embedding_dim": 16, "word_dim": 8, "word_vectors": str(file)}
    config = tiny_config(parameters=parameters, epochs=1, learning_rate=1e-12)
    with caplog.at_level(logging.INFO):
        train(config=config, dataset=tiny_dataset, seed=0, out=tmp_path / "run")
    file.unlink()
    evaluate(run=tmp_path / "run", dataset=tiny_dataset, memory_mb=16)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["text_encoder"] == "GloVe-GRU"
    found = record["pretrained"]["word_vectors"]
    assert (found["words"], found["found"]) == (len(words), len(words) - 1)
    weights = load_file(tmp_path / "run" / "model.safetensors")["text_encoder.embed.weight"]
    for place in range(len(words) - 1):
        torch.testing.assert_close(weights[5 + place], torch.full((8,), 0.01 * place), atol=1e-6, rtol=0)
    assert weights[:5].std() > 0.01
