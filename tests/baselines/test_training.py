"""Every method goes through training, resume state, publication and evaluation as configured runs do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from lgsf.evaluation.evaluate import evaluate
from lgsf.training.train import train

pytestmark = pytest.mark.seconds

SMALL = {"embedding_dim": 16, "word_dim": 8}
METHODS: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "scan_t2i": ("baselines.scan:SCAN", {}, set()),
    "scan_i2t": ("baselines.scan:SCAN", {"direction": "i2t", "aggregation": "mean"}, set()),
    "vse_inf": ("baselines.vse_inf:VSEInfinity", {}, set()),
    "sgr": ("baselines.sgraf:SGRAF", {"regions": 5, "similarity_dim": 8}, set()),
    "saf": ("baselines.sgraf:SGRAF", {"module": "saf", "regions": 5, "similarity_dim": 8}, set()),
    "vsrn": ("baselines.vsrn:VSRN", {"caption_dim": 8}, {"captioner"}),
    "hrem": ("baselines.hrem:HREM", {"heads": 2, "start_step": 3, "top_k": 3}, {"sample_relations"}),
}


@pytest.mark.parametrize("name", METHODS)
def test_train_and_evaluate(name: str, tmp_path: Path, tiny_dataset: Path, tiny_config: Callable[..., Path]) -> None:
    model, parameters, training_only = METHODS[name]
    config = tiny_config(model=model, parameters=SMALL | parameters, epochs=1)
    run = tmp_path / "run"
    train(config=config, dataset=tiny_dataset, seed=0, out=run)
    evaluate(run=run, dataset=tiny_dataset, memory_mb=16)
    record = json.loads((run / "run.json").read_text())
    assert 0 < record["dev"]["rsum"] <= 600
    assert record["text_encoder"] == ("GRU" if name == "vsrn" else "BiGRU")
    with safe_open(run / "model.safetensors", "pt") as deployed:
        assert not {key.split(".")[0] for key in deployed.keys()} & training_only  # noqa: SIM118
    with safe_open(run / "training_only.safetensors", "pt") as training:
        assert {key.split(".")[0] for key in training.keys()} == training_only  # noqa: SIM118
    assert (run / "test" / "ranks.npz").is_file()
