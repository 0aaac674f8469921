"""A device that is asked for and not there: a sentence for trainings, the CPU for what was trained elsewhere."""

from __future__ import annotations

import json
import logging

import pytest
import torch

from lgsf.evaluation.evaluate import evaluate
from lgsf.models.device import check_there, preferred
from lgsf.runs.ranks import read_ranks
from lgsf.runs.record import read_record, write_record
from lgsf.system.errors import LgsfError
from lgsf.training.train import train


@pytest.fixture
def no_gpu(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.parametrize(("built_for", "reason"), [(None, "built for CPUs: install"), ("13.0", "mend the driver")])
def test_a_training_says_why_there_is_no_gpu(no_gpu, monkeypatch, built_for, reason) -> None:
    monkeypatch.setattr(torch.version, "cuda", built_for)
    with pytest.raises(LgsfError, match=f"config.json asks for device 'cuda' and .*{reason}.*; or set device: cpu"):
        check_there("cuda", source="config.json")
    check_there("cpu", source="config.json")


def test_what_was_made_on_a_gpu_is_worked_on_by_the_cpu(no_gpu, caplog) -> None:
    caplog.set_level(logging.INFO)
    assert preferred("cuda", what="results/run") == torch.device("cpu")
    assert "results/run was made on a GPU and is worked on here by the CPU" in caplog.text


def test_a_run_of_a_gpu_is_evaluated_on_a_cpu(no_gpu, tmp_path, tiny_dataset, tiny_config) -> None:
    run = tmp_path / "run"
    train(config=tiny_config(epochs=1), dataset=tiny_dataset, seed=0, out=run)
    evaluate(run=run, dataset=tiny_dataset, memory_mb=64)
    here = read_ranks(run, "test")
    record = read_record(run)
    write_record(run, record.model_copy(update={"config": {**record.config, "device": "cuda"}}))
    evaluate(run=run, dataset=tiny_dataset, memory_mb=64)
    assert read_record(run).config["device"] == "cuda"  # how it was trained stays
    there = read_ranks(run, "test")
    assert (here.t2i == there.t2i).all() and (here.i2t == there.i2t).all()


def test_a_training_for_a_gpu_fails_in_one_sentence(no_gpu, tmp_path, tiny_dataset, tiny_config) -> None:
    config = tiny_config()
    config.write_text(json.dumps({**json.loads(config.read_text()), "device": "cuda"}))
    with pytest.raises(LgsfError, match="asks for device 'cuda'"):
        train(config=config, dataset=tiny_dataset, seed=0, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
