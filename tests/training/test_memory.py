"""A full GPU: the sentence names the setting, the figures and what would fit, and nothing on disk is lost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from lgsf.config.run_settings import RunSettings
from lgsf.models.build import read_settings
from lgsf.system.errors import LgsfError
from lgsf.training.memory import full
from lgsf.training.train import train
from lgsf.training.trainer import Trainer

# As torch 2 words it.
TORCH = (
    "CUDA out of memory. Tried to allocate {asked}. GPU 0 has a total capacity of {capacity} of which 512.00 MiB is free. "
    "Process 1 has {taken} memory in use. Of the allocated memory {taken} is allocated by PyTorch, and 200.00 MiB is "
    "reserved by PyTorch but unallocated."
)


def _settings(batch_size: int, precision: str = "float32") -> RunSettings:
    return RunSettings(
        dataset="coco", method="x", model="a:B", parameters={}, device="cuda", threads=1,
        training={"batch_size": batch_size, "precision": precision},
    )  # fmt: skip


def _said(asked: str, capacity: str, taken: str, *, weights_mib: int = 0, **settings) -> str:
    error = torch.OutOfMemoryError(TORCH.format(asked=asked, capacity=capacity, taken=taken))
    method = torch.nn.Linear(1, 1, bias=False)
    method.weight = torch.nn.Parameter(torch.empty(weights_mib * 2**18, device="meta"))
    return str(full(error, _settings(**settings), method))


def test_the_sentence_has_the_figures_and_what_would_fit() -> None:
    said = _said("2.00 GiB", "24.00 GiB", "22.00 GiB", batch_size=256)
    assert (
        "(24.0 GiB) does not suffice for training.batch_size 256: 2.0 GiB more were asked for beside 22.0 GiB" in said
    )
    assert "about 128 should fit" in said  # 0.9 * 24 GiB would hold 230 of what a step had so far, but it was not done
    assert "precision: bfloat16" in said


def test_weights_are_no_part_of_what_shrinks() -> None:
    # 4 GiB of weights and moments; the other 20 of 24 GiB grew with the batch, and 0.9 * 12 - 4 = 6.8 GiB are there
    said = _said("2.00 GiB", "12.00 GiB", "22.00 GiB", weights_mib=1024, batch_size=256)
    assert f"about {int(256 * 6.8 / 20) // 8 * 8} should fit" in said


def test_weights_that_fill_the_gpu_are_named() -> None:
    said = _said("2.00 GiB", "8.00 GiB", "7.80 GiB", weights_mib=2000, batch_size=64)
    assert "weights and their moments alone take 7.8 GiB: lower the widths" in said


def test_bfloat16_is_no_advice_to_who_has_it() -> None:
    assert "bfloat16" not in _said("2.00 GiB", "24.00 GiB", "22.00 GiB", batch_size=256, precision="bfloat16")


def test_words_without_figures_still_name_the_setting() -> None:
    said = str(full(torch.OutOfMemoryError("CUDA out of memory."), _settings(64), torch.nn.Linear(1, 1)))
    assert "training.batch_size 64; about 32 should fit" in said


def test_a_training_that_runs_out_of_memory_goes_on_after_its_last_epoch(
    tmp_path: Path, tiny_dataset, tiny_config, monkeypatch
) -> None:
    config = tiny_config(epochs=3)
    train(config=config, dataset=tiny_dataset, seed=0, out=tmp_path / "undisturbed" / "seed0")
    step, error = (
        Trainer._step,
        torch.OutOfMemoryError(TORCH.format(asked="1.00 GiB", capacity="2.00 GiB", taken="1.5 GiB")),
    )

    def failing(self: Trainer, batch, number, epoch):
        if epoch == 2:
            raise error
        return step(self, batch, number, epoch)

    out = tmp_path / "run" / "seed0"
    monkeypatch.setattr(Trainer, "_step", failing)
    with pytest.raises(LgsfError, match=re.escape("lower training.batch_size")) as raised:
        train(config=config, dataset=tiny_dataset, seed=0, out=out)
    assert f"training.batch_size {read_settings(config).training.batch_size}" in str(raised.value)
    assert not (out / "run.json").exists()
    monkeypatch.setattr(Trainer, "_step", step)
    train(config=config, dataset=tiny_dataset, seed=0, out=out)
    weights = [(folder / "model.safetensors").read_bytes() for folder in (out, tmp_path / "undisturbed" / "seed0")]
    assert weights[0] == weights[1]
