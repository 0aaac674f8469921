"""The GPU path: trains, repeats itself, and agrees with the CPU; skipped where there is no GPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from lgsf.evaluation.evaluate import evaluate
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
