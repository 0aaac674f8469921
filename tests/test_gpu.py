"""The GPU path: trains, repeats itself, and agrees with the CPU; skipped where there is no GPU."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lgsf.data.batches import resident
from lgsf.data.batches.training import TrainingBatches
from lgsf.data.layout import open_dataset
from lgsf.data.text import Vocabulary
from lgsf.evaluation.evaluate import evaluate
from lgsf.metrics.ranking import MatrixScores, contiguous_folds, rank
from lgsf.models.base import DataSpec, Encoded, Method, Parameters
from lgsf.models.scoring import TiledScores
from lgsf.runs.ranks import read_ranks
from lgsf.training.train import train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def on_gpu(config: Path) -> Path:
    config.write_text(json.dumps({**json.loads(config.read_text()), "device": "cuda"}))
    return config


@pytest.mark.parametrize("model", ["baselines.vsepp:VSEPP", "lgsf.models.lgsf:LGSF"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training_on_a_gpu_repeats_itself(tmp_path, tiny_dataset, tiny_config, model, precision) -> None:
    config = on_gpu(tiny_config(model=model, parameters={}, precision=precision))
    for name in ("one", "two"):
        train(config=config, dataset=tiny_dataset, seed=0, out=tmp_path / name)
        evaluate(run=tmp_path / name, dataset=tiny_dataset, memory_mb=64)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] == weights[1]
    assert json.loads((tmp_path / "one" / "run.json").read_text())["peak_gpu_memory_mb"] > 0


def test_gpu_and_cpu_rank_alike(tmp_path, tiny_dataset, tiny_config) -> None:
    config = tiny_config()
    train(config=config, dataset=tiny_dataset, seed=0, out=tmp_path / "run")
    evaluate(run=tmp_path / "run", dataset=tiny_dataset, memory_mb=64)
    cpu = read_ranks(tmp_path / "run", "test")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    record["config"]["device"] = "cuda"
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    evaluate(run=tmp_path / "run", dataset=tiny_dataset, memory_mb=64)
    gpu = read_ranks(tmp_path / "run", "test")
    assert (cpu.t2i == gpu.t2i).mean() > 0.95


@pytest.mark.parametrize("stay", [True, False])
@pytest.mark.parametrize("workers", [1, 3])
def test_batches_reach_the_gpu_bit_for_bit(tiny_dataset: Path, monkeypatch, stay: bool, workers: int) -> None:
    """Those that are gathered there and those that are sent ahead, kept for a while on both ends."""
    split, vocabulary = open_dataset(tiny_dataset).split("train"), Vocabulary.load(tiny_dataset / "vocabulary.json")
    options = {"batch_size": 8, "seed": 0, "region_drop": 0.3, "word_drop": 0.3}
    read = [batch for epoch in range(3) for batch in TrainingBatches(split, vocabulary, **options).epoch(epoch)]
    if not stay:
        monkeypatch.setattr(resident, "SHARE", 0.0)
    made = TrainingBatches(split, vocabulary, **options, workers=workers, device=torch.device("cuda"))
    assert isinstance(made._images, resident.ResidentImages) == stay
    sent = [batch for epoch in range(3) for batch in made.epoch(epoch)]
    for one, other in zip(read, sent, strict=True):
        for name, value in vars(one).items():
            assert vars(other)[name].device.type == "cuda"
            assert torch.equal(vars(other)[name].cpu(), value), name


@pytest.mark.parametrize("memory_mb", [0, 64])
@pytest.mark.parametrize("levels", [0, 3])
def test_a_gpu_counts_its_own_scores_as_the_cpu_does(memory_mb: int, levels: int) -> None:
    """Ranks, lists and ties of the very scores that the GPU made; with few levels many of them are equal."""
    generator = torch.Generator().manual_seed(0)
    images, texts = (torch.randn(n, 16, generator=generator) for n in (500, 2500))
    if levels:
        images, texts = images.sign(), texts.sign()
    method = Method(Parameters(), DataSpec(region_dim=1, vocabulary_size=1)).cuda()
    scores = TiledScores(method, Encoded(vector=images.cuda()), Encoded(vector=texts.cuda()), memory_mb)
    matrix = np.concatenate([block for _, block in scores.blocks()])
    own, fold = np.arange(2500) // 5, contiguous_folds(500, 5)
    on_cpu, on_gpu = rank(MatrixScores(matrix), own, fold), rank(scores, own, fold)
    for name, value in vars(on_cpu).items():
        np.testing.assert_array_equal(vars(on_gpu)[name], value, err_msg=name)
